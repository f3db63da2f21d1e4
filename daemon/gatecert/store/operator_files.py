"""Files that belong to the operator: gatecert's configuration, and those of the servers.

A file keeps its owner, its group, its mode and, where it is a symbolic link, its name: the file
that the link points to is replaced. The old contents can be kept beside it.
"""

from __future__ import annotations

import grp
import os
import stat
from typing import TYPE_CHECKING, Final

from gatecert.errors import StorageError
from gatecert.store import durable
from gatecert.store.storage_errors import storage_error

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE_GROUP: Final = "gatecert"  # systemd/gatecert.sysusers
NEW_MODE: Final = 0o640
NEW_DIRECTORY_MODE: Final = 0o750  # systemd/gatecert.tmpfiles
BACKUP: Final = ".before-gatecert"


def replace(
    path: Path, before: bytes | None, data: bytes, *, mode: int = NEW_MODE, group: str | None = None
) -> None:
    """Replace the contents of a file, or create it.

    Args:
        path: The file.
        before: The contents that the new ones are made from; None if there was no file.
        data: The new contents.
        mode: Of a new file.
        group: Of a new file; None for the default.

    Raises:
        StorageError: It could not be written, or has been changed meanwhile; it is as it was.
    """
    real = resolve(path)
    if read(real) != before:
        raise StorageError(
            f"{path} was changed by somebody else meanwhile, and is left as it is",
            fix="run the command again",
        )
    if before is None:
        durable.make_directory(real.parent, mode=NEW_DIRECTORY_MODE, group=group)
        durable.write_file(real, data, mode=mode, group=group)
        return
    with durable.step("read", real):
        status = real.stat()
    durable.write_file(
        real,
        data,
        mode=stat.S_IMODE(status.st_mode),
        owner=str(status.st_uid),
        group=str(status.st_gid),
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
    real = resolve(path)
    data = read(real)
    with durable.step("read", real):
        status = real.stat()
    backup = _unused(real.with_name(real.name + BACKUP))
    durable.create_file(
        backup,
        data or b"",
        mode=stat.S_IMODE(status.st_mode),
        owner=str(status.st_uid),
        group=str(status.st_gid),
    )
    durable.sync_directory(backup.parent)
    return backup


def read(path: Path) -> bytes | None:
    """Return the contents of a file; None if there is none.

    Raises:
        StorageError: It cannot be read.
    """
    with durable.step("read", path):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None


def resolve(path: Path) -> Path:
    """Return the file that a path names, behind symbolic links.

    Raises:
        StorageError: The links form a loop.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop, up to Python 3.12
        reason = error if isinstance(error, OSError) else OSError(None, "a loop of symbolic links")
        raise storage_error(reason, "read", path) from error


def _unused(path: Path) -> Path:
    """Return the path, with a number if the name is taken."""
    found, number = path, 1
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{path.name}.{number}")
    return found


def _package_group() -> str | None:
    """Return the daemon's group if this process may give a file to it."""
    try:
        members = grp.getgrnam(PACKAGE_GROUP).gr_gid
    except KeyError:
        return None
    allowed = os.geteuid() == 0 or members in {*os.getgroups(), os.getegid()}
    return PACKAGE_GROUP if allowed else None
