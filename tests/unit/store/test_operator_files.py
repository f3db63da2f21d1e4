"""Files of the operator: owner, mode and links stay; nothing that others changed is lost."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from gatecert.errors import StorageError
from gatecert.store import durable
from gatecert.store.operator_files import back_up, replace, replace_configuration

if TYPE_CHECKING:
    from pathlib import Path


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "server.conf"
    path.write_text("old\n")
    path.chmod(0o604)
    return path


def test_mode_and_owner_stay(path: Path) -> None:
    owner = path.stat().st_uid, path.stat().st_gid

    replace(path, b"old\n", b"new\n")

    assert path.read_text() == "new\n"
    assert mode_of(path) == 0o604
    assert (path.stat().st_uid, path.stat().st_gid) == owner


def test_a_link_stays_a_link(path: Path) -> None:
    link = path.with_name("enabled.conf")
    link.symlink_to(path.name)

    replace(link, b"old\n", b"new\n")

    assert link.is_symlink()
    assert path.read_text() == "new\n"


def test_a_new_file_is_not_world_readable_and_gets_its_directory(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "config.yaml"

    replace_configuration(path, None, b"gateways: {}\n")

    assert path.read_bytes() == b"gateways: {}\n"
    assert (mode_of(path), mode_of(path.parent)) == (0o640, 0o750)


@pytest.mark.parametrize("before", [b"older\n", None])
def test_a_file_that_others_changed_is_left_alone(path: Path, before: bytes | None) -> None:
    with pytest.raises(StorageError, match="was changed by somebody else"):
        replace(path, before, b"new\n")

    assert path.read_text() == "old\n"


def test_one_that_was_removed_is_not_created_again(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="was changed"):
        replace(tmp_path / "gone", b"old\n", b"new\n")

    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_contents(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, _: Path) -> None:
        if name == "replace":
            raise OSError(28, "full")

    monkeypatch.setattr(durable, "on_step", fail)
    with pytest.raises(StorageError, match="disk full"):
        replace(path, b"old\n", b"new\n")

    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert path.read_text() == "old\n"


def test_each_backup_has_a_name_of_its_own(path: Path) -> None:
    first, second = back_up(path), back_up(path)

    assert first.name == "server.conf.before-gatecert"
    assert second.name == "server.conf.before-gatecert.2"
    assert first.read_text() == second.read_text() == "old\n"
    assert mode_of(first) == 0o604


def test_a_loop_of_links_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(StorageError, match=r"cannot reach .*loop: Too many levels"):
        replace(tmp_path / "loop", None, b"new\n")
