from __future__ import annotations

import errno
import os
from pathlib import Path

from gatecert.store.failure import storage_error
from gatecert.store.identity import current_user, user_name

PATH = Path("/var/lib/gatecert/state.json")


def test_names_the_user_and_what_was_tried() -> None:
    user = current_user()
    written = storage_error(OSError(errno.EACCES, ""), "write", PATH)
    assert written.message == f"cannot write {PATH}: not writable by user {user}"
    read = storage_error(OSError(errno.EACCES, ""), "read", PATH)
    assert read.message == f"cannot read {PATH}: not readable by user {user}"
    assert user in read.fix
    assert str(PATH.parent) in read.fix


def test_other_refusals_in_the_systems_words() -> None:
    error = storage_error(OSError(errno.ELOOP, "x"), "create", PATH)
    assert error.message == f"cannot create {PATH}: {os.strerror(errno.ELOOP)}"


def test_a_file_that_is_mounted_by_itself() -> None:
    error = storage_error(OSError(errno.EBUSY, ""), "replace", PATH)
    assert error.message == f"cannot replace {PATH}: something is mounted on it"
    assert error.fix.startswith(f"mount {PATH.parent} instead")


def test_a_file_where_a_directory_should_be() -> None:
    error = storage_error(OSError(errno.ENOTDIR, ""), "create", PATH)
    assert error.message == f"cannot create {PATH}: a file is in the place of a directory"
    assert "volume" in error.fix


def test_errors_without_a_number() -> None:
    assert storage_error(OSError("odd\nthing"), "read", PATH).message.endswith(": odd thing")
    assert storage_error(OSError(), "read", PATH).message.endswith(": it failed")


def test_a_wild_path_stays_on_one_line() -> None:
    message = str(storage_error(OSError(errno.EIO, ""), "read", Path("/a\nb" + 400 * "c")))
    assert "\n" not in message
    assert len(message) < 600


def test_a_read_only_place_names_the_directive_of_the_sandbox() -> None:
    error = storage_error(OSError(errno.EROFS, ""), "create", Path("/etc/haproxy/certs/a.pem"))
    assert error.fix.endswith("add ReadWritePaths=/etc/haproxy/certs")


def test_a_group_that_files_cannot_be_given_to_names_the_directives() -> None:
    error = storage_error(OSError(errno.EPERM, ""), "change the group of", PATH)
    assert error.message.endswith(f"user {current_user()} may not give it away")
    assert "SupplementaryGroups=" in error.fix
    assert "SystemCallFilter=@chown" in error.fix


def test_names_whom_it_belongs_to(tmp_path: Path) -> None:
    error = storage_error(OSError(errno.EACCES, ""), "write", tmp_path / "state.json")
    owner = user_name(tmp_path.stat().st_uid)
    assert f"own {tmp_path}, which is user {owner}'s, or" in error.fix
