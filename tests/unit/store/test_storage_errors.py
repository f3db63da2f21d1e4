from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gatecert.store import storage_errors
from gatecert.store.storage_errors import storage_error
from gatecert.store.users_and_groups import current_user, user_name

PATH = Path("/var/lib/gatecert/state.json")


def test_names_the_user_and_the_operation(tmp_path: Path) -> None:
    user, path = current_user(), tmp_path / "state.json"
    written = storage_error(OSError(errno.EACCES, ""), "write", path)
    assert written.message == f"cannot write {path}: not writable by user {user}"
    read = storage_error(OSError(errno.EACCES, ""), "read", path)
    assert read.message == f"cannot read {path}: not readable by user {user}"
    assert read.fix == f"let user {user} own {tmp_path}, or run gatecert as its owner"


def test_other_errors_use_the_text_of_the_system() -> None:
    error = storage_error(OSError(errno.ELOOP, "x"), "create", PATH)
    assert error.message == f"cannot create {PATH}: {os.strerror(errno.ELOOP)}"


def test_a_mounted_file() -> None:
    error = storage_error(OSError(errno.EBUSY, ""), "replace", PATH)
    assert error.message == f"cannot replace {PATH}: it is a mount point"
    assert error.fix.startswith(f"mount {PATH.parent} instead")


def test_a_file_in_place_of_a_directory() -> None:
    error = storage_error(OSError(errno.ENOTDIR, ""), "create", PATH)
    assert error.message == f"cannot create {PATH}: a file is in the place of a directory"
    assert "volume" in error.fix


def test_errors_without_a_number() -> None:
    assert storage_error(OSError("odd\nthing"), "read", PATH).message.endswith(": odd thing")
    assert storage_error(OSError(), "read", PATH).message.endswith(": it failed")


def test_a_path_with_control_characters_stays_on_one_line() -> None:
    message = str(storage_error(OSError(errno.EIO, ""), "read", Path("/a\nb" + 400 * "c")))
    assert "\n" not in message
    assert len(message) < 600


def test_a_read_only_file_system_names_the_directive_of_the_unit() -> None:
    error = storage_error(OSError(errno.EROFS, ""), "create", Path("/etc/haproxy/certs/a.pem"))
    assert error.fix.endswith("add ReadWritePaths=/etc/haproxy/certs")


def test_a_refused_group_names_the_directives_of_the_unit() -> None:
    error = storage_error(OSError(errno.EPERM, ""), "change the group of", PATH)
    reason = f"user {current_user()} has no permission to change its owner or group"
    assert error.message.endswith(reason)
    assert "SupplementaryGroups=" in error.fix
    assert "SystemCallFilter=@chown" in error.fix


@pytest.fixture
def somebody_else(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return another user, who owns the directory."""
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    return user_name(owner)


def test_names_the_inaccessible_directory_and_its_owner(
    tmp_path: Path, somebody_else: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_errors, "runs_as_daemon", True)
    denied = OSError(errno.EACCES, "")
    whose = f"which belongs to user {somebody_else}, or run gatecert as its owner"
    assert f"own {tmp_path}, {whose}" in storage_error(denied, "read", tmp_path / "file").fix
    # The directory is inaccessible, so its parent needs the permission.
    beyond = tmp_path / "hidden" / "file"
    assert f"own {tmp_path}, {whose}" in storage_error(denied, "read", beyond).fix


def test_a_command_beside_the_daemon_names_the_user_to_run_as(
    tmp_path: Path, somebody_else: str
) -> None:
    fix = storage_error(OSError(errno.EACCES, ""), "read", tmp_path / "file").fix
    assert fix == f"run it with sudo, or as user {somebody_else}, who owns {tmp_path}"


def test_a_file_of_another_user_in_an_own_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, path = tmp_path.stat().st_uid, tmp_path / "file"
    path.touch()
    real = Path.lstat

    def lstat(asked: Path) -> os.stat_result:
        found = real(asked)
        if asked != path:
            return found
        return os.stat_result([*found[:4], own + 1, *found[5:10]])

    monkeypatch.setattr(Path, "lstat", lstat)
    monkeypatch.setattr(storage_errors, "runs_as_daemon", True)
    fix = storage_error(OSError(errno.EACCES, ""), "read", path).fix
    assert f"own {path}, which belongs to user {user_name(own + 1)}, or" in fix
