"""Changes of a server's files: tested, kept, or taken back whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.errors import GatecertError
from gatecert.setup.server_change import (
    Finished,
    ServerChange,
    ServerRefusedError,
    run_command,
)
from gatecert.setup.server_plan import Edit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Commands:
    """Commands that succeed, except for some."""

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.ran: list[str] = []

    def __call__(self, argv: Sequence[str]) -> Finished:
        self.ran.append(" ".join(argv))
        failed = argv[0] in self.failing
        return Finished(1 if failed else 0, "no" if failed else "")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "server.conf"
    path.write_bytes(b"old \xff\n")
    return path


def edits(path: Path) -> list[Edit]:
    return [
        Edit(path, "old \udcff\n", "new \udcff\n"),
        Edit(path.with_name("added.conf"), None, "added\n"),
    ]


def test_a_change_that_the_server_accepts(path: Path) -> None:
    commands, change = Commands(), ServerChange()
    change.run = commands

    change.make(edits(path), [(("enable",), ("disable",))], tests=[("server", "-t")])

    assert path.read_bytes() == b"new \xff\n"
    assert (path.parent / "added.conf").read_text() == "added\n"
    assert [backup.read_bytes() for backup in change.backups] == [b"old \xff\n"]
    assert commands.ran == ["enable", "server -t"]


@pytest.mark.parametrize("failing", ["server", "enable", "enable-more"])
def test_a_change_that_fails_leaves_everything_as_it_was(path: Path, failing: str) -> None:
    commands = Commands(failing)
    touched = path.with_name("main.cf")
    touched.write_text("main\n")

    with pytest.raises(ServerRefusedError, match="no"):
        ServerChange(commands).make(
            edits(path),
            [(("enable",), ("disable",)), (("enable-more",), ())],
            [touched],
            [("server", "-t")],
        )

    assert path.read_bytes() == b"old \xff\n"
    assert sorted(each.name for each in path.parent.iterdir()) == ["main.cf", "server.conf"]
    assert ("disable" in commands.ran) == (failing != "enable")


def test_a_file_that_was_changed_meanwhile_is_left_alone(path: Path) -> None:
    path.write_text("mine\n")

    with pytest.raises(GatecertError, match="was changed"):
        ServerChange(Commands()).make(edits(path))

    assert path.read_text() == "mine\n"
    assert [each.name for each in path.parent.iterdir()] == ["server.conf"]


def test_a_change_can_be_taken_back_later(path: Path) -> None:
    change = ServerChange(Commands())
    change.make(edits(path))

    change.take_back()

    assert path.read_bytes() == b"old \xff\n"
    assert [each.name for each in path.parent.iterdir()] == ["server.conf"]


def test_a_file_with_a_backup_gets_no_second_one(path: Path) -> None:
    change = ServerChange(Commands(), {path})

    change.make(edits(path))

    assert change.backups == []


def test_commands() -> None:
    assert run_command(["sh", "-c", "echo yes"]) == Finished(0, "yes")
    assert run_command(["false"]).status == 1
    assert not run_command(["no-such-program"]).succeeded
    assert "no such program" in run_command(["no-such-program"]).output
