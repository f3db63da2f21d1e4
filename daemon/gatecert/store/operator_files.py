"""Files that belong to the operator: gatecert's configuration, and those of the servers.

A file keeps its owner, its group, its mode and, where it is a symbolic link, its name: the file
that the link points to is replaced. The old contents can be kept beside it. No other user can lead
a command elsewhere: see ``directory_walk``.
"""

from __future__ import annotations

import errno
import grp
import os
import re
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from gatecert import regular_files
from gatecert.errors import StorageError
from gatecert.store import durable
from gatecert.store.directory_walk import RefusedPathError, place
from gatecert.store.storage_errors import storage_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatecert.store.directory_walk import Place

PACKAGE_GROUP: Final = "gatecert"  # systemd/gatecert.sysusers
NEW_MODE: Final = 0o640
NEW_DIRECTORY_MODE: Final = 0o750  # systemd/gatecert.tmpfiles
BACKUP: Final = ".before-gatecert"

_STANDARD: Final = {"stdout": 1, "stderr": 2}
_INHERITED: Final = re.compile(r"(?:/dev|/proc/self)/fd/([0-9]{1,4})|/dev/(stdout|stderr)")


def replace(  # noqa: PLR0913 - what a new file and its directory get
    path: Path,
    before: bytes | None,
    data: bytes,
    *,
    mode: int = NEW_MODE,
    owner: str | None = None,
    group: str | None = None,
    directory_mode: int = NEW_DIRECTORY_MODE,
) -> None:
    """Replace the contents of a file, or create it.

    Args:
        path: The file.
        before: The contents that the new ones are made from; None if there was no file.
        data: The new contents.
        mode: Of a new file.
        owner: Of a new file; None for the default.
        group: Of a new file and its directory; None for the default.
        directory_mode: Of a new directory.

    Raises:
        StorageError: It could not be written, or has been changed meanwhile; it is as it was.
    """
    make = directory_mode if before is None else None
    with place(path, follow_link=True, make=make, group=group) as found:
        known = found.read()
        if (known and known[0]) != before:
            raise StorageError(
                f"{path} was changed by somebody else meanwhile, and is left as it is",
                fix="run the command again",
            )
        if known is not None:
            mode, owner, group = _rights(known[1])
        durable.write_file(
            found.path, data, mode=mode, owner=owner, group=group, directory=found.directory
        )


def replace_configuration(path: Path, before: bytes | None, data: bytes) -> None:
    """Replace or create gatecert's own configuration file.

    A new one belongs to root and can be read by the daemon's group, as the package sets it up.

    Raises:
        StorageError: As ``replace``.
    """
    replace(path, before, data, mode=NEW_MODE, group=_package_group())


def back_up(path: Path) -> Path:
    """Copy a file to a new name beside it, with its owner and mode; return the copy.

    Raises:
        StorageError: It could not be read or written.
    """
    with place(path, follow_link=True) as found:
        known = found.read()
        if known is None:
            raise storage_error(FileNotFoundError(errno.ENOENT, ""), "read", path)
        data, status = known
        mode, owner, group = _rights(status)
        backup = _unused(found)
        durable.create_file(
            backup, data, mode=mode, owner=owner, group=group, directory=found.directory
        )
        durable.sync_directory(backup.parent, found.directory)
        return backup


def remove(path: Path) -> None:
    """Remove a file or link; a missing one is no error.

    Raises:
        StorageError: It could not be removed.
    """
    with place(path) as found:
        durable.remove_file(found.path, directory=found.directory)


def write_output(path: Path, data: bytes, *, mode: int) -> None:
    """Write what a command was asked to write: to a file, the target of a link, a device or a pipe.

    Raises:
        StorageError: It could not be written.
    """
    if _inherited(path) is None:
        with place(path, follow_link=True) as found:
            status = found.status()
            if status is None or stat.S_ISREG(status.st_mode):
                durable.write_file(found.path, data, mode=mode, directory=found.directory)
                return
    with open_output(path, mode=mode) as descriptor:
        durable.write_all(descriptor, data, path)


@contextmanager
def open_output(path: Path, *, mode: int) -> Iterator[int]:
    """Open a file as this user, for a command that writes to it once it is another user.

    A new file that is still empty at the end is removed again, where that user may.

    Args:
        path: A file, the target of a link, a device or a pipe.
        mode: Of a new file.

    Raises:
        StorageError: It cannot be opened.
    """
    if (inherited := _inherited(path)) is not None:
        with durable.step("write", path), os.fdopen(os.dup(inherited), "wb") as file:
            yield file.fileno()
        return
    with place(path, follow_link=True) as found:
        before = found.status()
        descriptor = _open(found, before, mode)
        try:
            yield descriptor
        finally:
            if before is None and not os.fstat(descriptor).st_size:
                with suppress(OSError):
                    os.unlink(found.path.name, dir_fd=found.directory)
            os.close(descriptor)


def read(path: Path) -> bytes | None:
    """Return the contents of a file; None if there is none.

    Raises:
        StorageError: It cannot be read.
    """
    with durable.step("read", path):
        try:
            return regular_files.read(path)
        except FileNotFoundError:
            return None


def _inherited(path: Path) -> int | None:
    """Return the descriptor of this process that a path names, as shells write it; None if none."""
    match = _INHERITED.fullmatch(str(path))
    return int(match[1] or _STANDARD[match[2]]) if match is not None else None


def _open(found: Place, before: os.stat_result | None, mode: int) -> int:
    """Open a new file, or an existing one that nobody else can have put there."""
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with durable.step("write", found.path):
        if before is None:
            flags |= os.O_CREAT | os.O_EXCL
        descriptor = os.open(found.path.name, flags, mode, dir_fd=found.directory)
    status = os.fstat(descriptor)
    is_own = stat.S_ISREG(status.st_mode) and status.st_uid in {0, os.geteuid()}
    if found.changeable_by and not (is_own and status.st_nlink == 1):
        os.close(descriptor)
        raise RefusedPathError(
            f"{found.path} may have been put there by {found.changeable_by}, so gatecert does not "
            "write to it",
            fix="remove it, or name another file",
        )
    return descriptor


def _rights(status: os.stat_result) -> tuple[int, str, str]:
    """Return the permission bits, the owner and the group of a file."""
    return status.st_mode & 0o777, str(status.st_uid), str(status.st_gid)


def _unused(found: Place) -> Path:
    """Return a path for the backup of a file, with a number if the name is taken."""
    backup = found.path.with_name(found.path.name + BACKUP)
    number = 1
    while found._replace(path=backup).status() is not None:
        number += 1
        backup = found.path.with_name(f"{found.path.name}{BACKUP}.{number}")
    return backup


def _package_group() -> str | None:
    """Return the daemon's group if this process may give a file to it."""
    try:
        members = grp.getgrnam(PACKAGE_GROUP).gr_gid
    except KeyError:
        return None
    allowed = os.geteuid() == 0 or members in {*os.getgroups(), os.getegid()}
    return PACKAGE_GROUP if allowed else None
