"""Copies of the live version for servers that need files elsewhere (``install.copy_to``).

One rename replaces each file, so that it is never seen half written; a link in its place is
replaced, not followed. A file that is already correct (content, mode, owner, group) is not written,
so that its modification time tells when the certificate changed. The directory may belong to
another user than gatecert's: see ``store.directory_walk``.

Key and certificate in separate files cannot change in the same instant: a server that reads them
without a reload may see them mismatched for a moment. ``combined`` and ``live`` avoid that.
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
from gatecert.store import directory_walk, durable
from gatecert.store.users_and_groups import UNCHANGED, group_number, user_number
from gatecert.trusted_files import WeakFileError, read_secret

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gatecert.model import FileCopy, Version
    from gatecert.store.directory_walk import Place

logger = logging.getLogger(__name__)

LARGEST_COPY: Final = 1 << 20  # bytes; gatecert writes no larger file
LARGEST_PASSWORD: Final = 1 << 10  # bytes


def write_copies(copies: Sequence[FileCopy], version: Version, private_key: bytes) -> bool:
    """Write every copy that is out of date.

    All of them are tried even if one fails. What a crash left of one, possibly with a key, is
    removed. No other process writes them meanwhile: the gateway is locked.

    Returns:
        Whether any was written.

    Raises:
        CopyError: At least one could not be written; the message names each.
    """
    failures: list[StorageError] = []
    written = False
    for copy in copies:
        try:
            written |= _write(copy, version, private_key)
        except StorageError as error:
            logger.debug("copy failed path=%s error=%s", copy.path, error)
            failures.append(StorageError(f"{copy.path}: {error.message}", fix=error.fix))
    if failures:
        first = failures[0]
        raise CopyError(
            "install.copy_to: the certificate could not be copied: "
            + "; ".join(failure.message for failure in failures),
            fix=f"{first.fix}; or correct install.copy_to" if first.fix else "",
        ) from first
    return written


def _write(copy: FileCopy, version: Version, private_key: bytes) -> bool:
    """Write a copy unless it is up to date; return whether it was written."""
    user = user_number(copy.owner)
    user = os.geteuid() if user == UNCHANGED else user
    group = group_number(copy.group)
    group = _group_of(user) if group == UNCHANGED else group
    parts = (copy.contents, version, private_key, _password(copy.password_file))
    with directory_walk.place(copy.path) as place:
        durable.remove_leftover(place.path, place.directory)
        found = _read(place, (copy.mode, user, group))
        if found is not None and holds(found, *parts):
            return False
        durable.write_file(
            place.path,
            contents(*parts),
            mode=copy.mode,
            owner=str(user),
            group=str(group),
            directory=place.directory,
            alone=True,
        )
    logger.info("copied path=%s contents=%s", copy.path, copy.contents)
    return True


def _group_of(user: int) -> int:
    """Return the group of a user's files when none is configured."""
    if user == os.geteuid():
        return os.getegid()
    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError as error:
        raise StorageError(
            f"user {user} does not exist on this host, so the group of the file is unknown",
            fix="set the group in the configuration",
        ) from error


def _password(path: Path | None) -> bytes:
    """Return the content of a password file, without its line end.

    No message repeats it or the file's name, in case the password is configured in its place.
    """
    if path is None:
        return b""
    try:
        password = read_secret(path).rstrip(b"\r\n")
    except WeakFileError as error:
        raise StorageError(
            f"password_file: the file is not used: it {error.weakness}", fix=error.fix
        ) from error
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise StorageError(
            f"password_file: the file cannot be read: {reason}",
            fix=container.fix_for(
                host="make it readable for the user that gatecert runs as, or use credential:NAME",
                container=f"mount it so that user {os.geteuid()} of the container can read it",
            ),
        ) from error
    if not 0 < len(password) <= LARGEST_PASSWORD:
        raise StorageError(
            f"password_file: the file must hold a password of 1 to {LARGEST_PASSWORD} bytes",
            fix="write the password, and nothing else, into it",
        )
    return password


def _read(place: Place, wanted: tuple[int, int, int]) -> bytes | None:
    """Return the content of a file; None unless it has this mode, user and group."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not block
    try:
        descriptor = os.open(place.path.name, flags, dir_fd=place.directory)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_COPY:
            return None
        same = (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == wanted
        return file.read(LARGEST_COPY) if same else None
