"""Files that some servers insist on, beside ``live``.

Each is replaced by one rename and never seen half written; a link in its place is replaced, not
followed. What is already as it should be (content, mode, owner, group) is left alone, so that its
time of change says when the certificate changed.

Key and certificate in separate files cannot change in the same instant: a server that reads them
without being told may see them torn apart for a moment. ``combined`` and ``live`` have no such
moment.
"""

from __future__ import annotations

import logging
import os
import pwd
import stat
from typing import TYPE_CHECKING, Final

from gatecert import container
from gatecert.deploy.contents import contents, holds
from gatecert.errors import CopyError, StorageError
from gatecert.store import durable
from gatecert.store.users_and_groups import UNCHANGED, group_number, user_number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gatecert.model import FileCopy, Version

logger = logging.getLogger(__name__)

LARGEST_COPY: Final = 1 << 20  # bytes; what is larger is none of ours
LARGEST_PASSWORD: Final = 1 << 10  # bytes


def write_copies(copies: Sequence[FileCopy], version: Version, private_key: bytes) -> bool:
    """Write every copy that is not yet what it should be.

    All of them are tried, whatever becomes of the others. What a crash left beside them, which may
    well be a key, is removed.

    Returns:
        Whether any had to be written.

    Raises:
        CopyError: At least one could not be written; names each.
    """
    failures: list[StorageError] = []
    written = False
    for directory in {copy.path.parent for copy in copies}:
        durable.sweep(directory)
    for copy in copies:
        try:
            written |= _write(copy, version, private_key)
        except StorageError as error:
            logger.debug("copy failed path=%s error=%s", copy.path, error)
            failures.append(StorageError(f"{copy.path}: {error.message}", fix=error.fix))
    if failures:
        first = failures[0]
        raise CopyError(
            "the certificate could not be copied as install.copy_to asks: "
            + "; ".join(failure.message for failure in failures),
            fix=f"{first.fix}; or correct install.copy_to" if first.fix else "",
        ) from first
    return written


def _write(copy: FileCopy, version: Version, private_key: bytes) -> bool:
    """Write a copy, unless it is as it should be; whether it had to be written."""
    user = user_number(copy.owner)
    user = os.geteuid() if user == UNCHANGED else user
    group = group_number(copy.group)
    group = _group_of(user) if group == UNCHANGED else group
    parts = (copy.contents, version, private_key, _password(copy.password_file))
    found = _read(copy.path, (copy.mode, user, group))
    if found is not None and holds(found, *parts):
        return False
    data = contents(*parts)
    durable.write_file(copy.path, data, mode=copy.mode, owner=str(user), group=str(group))
    logger.info("copied path=%s contents=%s", copy.path, copy.contents)
    return True


def _group_of(user: int) -> int:
    """The group of a user's files, where none is configured."""
    if user == os.geteuid():
        return os.getegid()
    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError as error:
        raise StorageError(
            f"user {user} has no entry on this host, so the group of the file is not known",
            fix="name its group in the configuration",
        ) from error


def _password(path: Path | None) -> bytes:
    """What a password file holds, without the end of its line.

    Neither that nor the file's name is repeated, lest somebody wrote the password in its place.
    """
    if path is None:
        return b""
    try:
        with path.open("rb") as file:
            password = file.read(LARGEST_PASSWORD + 1).rstrip(b"\r\n")
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise StorageError(
            f"the file that password_file names cannot be read: {reason}",
            fix=container.fix_for(
                host="let the user that gatecert runs as read it, or use credential:NAME",
                container=f"mount it so that user {os.geteuid()} of the container can read it",
            ),
        ) from error
    if not 0 < len(password) <= LARGEST_PASSWORD:
        raise StorageError(
            f"the file that password_file names holds no password of 1 to {LARGEST_PASSWORD} bytes",
            fix="put the password, and nothing else, into it",
        )
    return password


def _read(path: Path, wanted: tuple[int, int, int]) -> bytes | None:
    """The content of a file; None unless it has these mode, user and group."""
    try:
        # A named pipe in its place must not block us.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_COPY:
            return None
        same = (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == wanted
        return file.read(LARGEST_COPY) if same else None
