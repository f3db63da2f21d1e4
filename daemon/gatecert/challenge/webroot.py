"""http-01 responses as files below a web server's document root (RFC 8555 section 8.3).

The files are world-readable (0644, directories 0755, regardless of the umask) and are written
atomically. gatecert often has more privileges than other users who may write there:

- A token becomes a file name, so its characters are checked first (CVE-2026-40611).
- No symbolic link below the document root is followed: through ``.well-known`` or
  ``acme-challenge`` gatecert would write and remove files at the link's target. Each directory is
  opened relative to the one above and stays open while a file is written, so replacing one has no
  effect.
- A symbolic link in place of the file itself is replaced.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert import container
from gatecert.errors import ChallengeError, StorageError
from gatecert.store import durable

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

DIRECTORY: Final = ".well-known/acme-challenge"
FILE_MODE: Final = 0o644
DIRECTORY_MODE: Final = 0o755

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")
_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def publish(webroot: Path, token: str, key_authorization: str) -> None:
    """Write a response for the web server.

    Raises:
        ValueError: The token is not base64url text.
        ChallengeError: The file cannot be written.
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError("the authority's token is not base64url")
    data = key_authorization.encode("ascii")
    try:
        with _directory(webroot, make=True) as directory:
            durable.sweep(directory)
            durable.write_file(directory / token, data, mode=FILE_MODE, sync=False)
    except (OSError, StorageError) as error:
        raise ChallengeError(
            f"{webroot / DIRECTORY}: the http-01 response cannot be written: {_reason(error)}",
            fix="correct challenges.http-01.webroot, or permit gatecert to write there "
            + container.fix_for(
                host="(in a systemd unit, ReadWritePaths=)",
                container=f"(mount it as a volume that user {os.geteuid()} may write to)",
            ),
        ) from error


def withdraw(webroot: Path, token: str) -> bool:
    """Remove a response; return True once there is none. Errors are only logged."""
    if not _TOKEN.fullmatch(token):
        return True
    try:
        with _directory(webroot, make=False) as directory:
            durable.remove_file(directory / token, sync=False)
    except FileNotFoundError:
        return True
    except (OSError, StorageError) as error:
        logger.warning(
            "cannot remove an http-01 response token=%s reason=%s", token, _reason(error)
        )
        return False
    return True


@contextmanager
def _directory(webroot: Path, *, make: bool) -> Iterator[Path]:
    """Open the directory of the responses; its path stays valid if a directory is replaced."""
    opened = [os.open(webroot, _OPEN)]  # may be a symbolic link: the operator configured it
    try:
        for name in DIRECTORY.split("/"):
            opened.append(_enter(name, opened[-1], make=make))
        yield Path(f"/proc/self/fd/{opened[-1]}")
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _enter(name: str, above: int, *, make: bool) -> int:
    """Open a directory inside another; create it if it is missing and ``make`` is set."""
    if make:
        try:
            os.mkdir(name, 0o700, dir_fd=above)
        except FileExistsError:
            make = False
    try:
        descriptor = os.open(name, _OPEN | os.O_NOFOLLOW, dir_fd=above)
    except OSError as error:
        if error.errno in {errno.ENOTDIR, errno.ELOOP}:
            raise OSError(error.errno, f"{name} is a symbolic link or not a directory") from error
        raise
    if make:
        os.fchmod(descriptor, DIRECTORY_MODE)
    return descriptor


def _reason(error: OSError | StorageError) -> str:
    """Return the system's error text; the paths in a StorageError are internal."""
    cause = error if isinstance(error, OSError) else error.__cause__
    text = cause.strerror if isinstance(cause, OSError) else None
    return text or str(error)
