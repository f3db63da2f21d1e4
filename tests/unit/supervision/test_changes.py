from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatecert.store.layout import Layout
from gatecert.store.state_directory import hold_state_directory
from gatecert.supervision.changes import Changes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    with hold_state_directory(tmp_path / "state"):
        for name in ("boston", "hq"):
            (tmp_path / "state" / "gateways" / name).mkdir(parents=True)
        yield tmp_path / "state"


@pytest.fixture
def changes(state: Path) -> Iterator[Changes]:
    with closing(Changes(state)) as changes:
        changes.follow("boston")
        changes.follow("hq")
        yield changes


def replace(path: Path) -> None:
    """Put a new file in place of another, as every program does that writes atomically."""
    new = path.parent.parent / "replacement"
    new.touch()
    new.rename(path)


def test_what_a_command_announces_is_told_once(state: Path, changes: Changes) -> None:
    (Layout(state).changed / "hq").touch()
    assert changes.changed() == {"hq"}
    assert changes.changed() == set()


def test_what_changes_by_hand_is_told(state: Path, changes: Changes) -> None:
    live = state / "gateways" / "boston" / "live"
    replace(live)
    assert changes.changed() == {"boston"}
    live.unlink()
    assert changes.changed() == {"boston"}


@pytest.mark.parametrize("name", ["lock", "reload-wanted", ".tmp-1-01234567-1"])
def test_files_without_consequences_are_not_told(state: Path, changes: Changes, name: str) -> None:
    replace(state / "gateways" / "boston" / name)
    assert changes.changed() == set()


def test_what_a_worker_writes_during_its_pass_is_no_news(state: Path, changes: Changes) -> None:
    replace(state / "gateways" / "boston" / "state.json")
    replace(state / "gateways" / "hq" / "state.json")
    assert changes.changed({"boston"}) == {"hq"}
    assert changes.changed() == set()


def test_a_directory_that_is_made_again_is_followed_again(state: Path, changes: Changes) -> None:
    directory = state / "gateways" / "hq"
    directory.rmdir()
    assert changes.changed() == {"hq"}
    directory.mkdir()
    changes.follow("hq")
    replace(directory / "live")
    assert changes.changed() == {"hq"}


def test_a_gateway_that_is_not_configured_any_more_is_not_followed(
    state: Path, changes: Changes
) -> None:
    changes.keep(["hq"])
    replace(state / "gateways" / "boston" / "live")
    assert changes.changed() == set()


def test_a_gateway_without_a_directory_is_followed_later(state: Path, changes: Changes) -> None:
    changes.follow("new")
    (state / "gateways" / "new").mkdir()
    changes.follow("new")
    replace(state / "gateways" / "new" / "live")
    assert changes.changed() == {"new"}


def test_without_the_kernel_the_announcements_are_looked_for(
    state: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Refused:
        def __init__(self) -> None:
            raise OSError(24, "Too many open files")

    monkeypatch.setattr("gatecert.supervision.changes.DirectoryWatch", Refused)
    changes = Changes(state)
    assert changes.watch is None
    assert changes.seconds == 60
    assert "Too many open files" in caplog.text
    changes.follow("hq")
    (Layout(state).changed / "hq").touch()
    assert changes.changed() == {"hq"}
    changes.close()


def test_at_the_limit_the_rest_is_not_followed(
    state: Path, changes: Changes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(changes.watch), "add", refuse)
    for name in ("a", "b"):
        (state / "gateways" / name).mkdir()
        changes.follow(name)
    assert caplog.text.count("No space left on device") == 1
    replace(state / "gateways" / "hq" / "live")
    assert changes.changed() == {"hq"}
