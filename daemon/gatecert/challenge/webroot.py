"""http-01 responses as files below a web server's document root (RFC 8555 section 8.3).

The files are world-readable (0644, directories 0755, regardless of the umask) and are written
atomically. gatecert often has more privileges than other users who may write there:

- A token becomes a file name, so its characters are checked first (CVE-2026-40611).
- No symbolic link below the document root is followed, not even one of root: see
  ``store.directory_walk``. A link in place of the file itself is replaced.
- More users than its owner may write to the document root: only responses are written there.
"""

from __future__ import annotations

import logging
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert import container
from gatecert.errors import ChallengeError, StorageError
from gatecert.store import durable
from gatecert.store.directory_walk import RefusedPathError, walk
from gatecert.store.storage_errors import reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.store.directory_walk import Place

logger = logging.getLogger(__name__)

DIRECTORY: Final = ".well-known/acme-challenge"
FILE_MODE: Final = 0o644
DIRECTORY_MODE: Final = 0o755

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")


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
        with _place(webroot, token, make=DIRECTORY_MODE) as place:
            durable.write_file(
                place.path,
                data,
                mode=FILE_MODE,
                sync=False,
                directory=place.directory,
                alone=True,
            )
    except StorageError as error:
        raise ChallengeError(
            f"{webroot / DIRECTORY}: the http-01 response cannot be written: {reason(error)}",
            fix=f"{error.fix}; or correct challenges.http-01.webroot"
            if isinstance(error, RefusedPathError)
            else "correct challenges.http-01.webroot, or permit gatecert to write there "
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
        with _place(webroot, token) as place:
            durable.remove_leftover(place.path, place.directory)
            durable.remove_file(place.path, sync=False, directory=place.directory)
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return True
        logger.warning("cannot remove an http-01 response token=%s reason=%s", token, reason(error))
        return False
    return True


@contextmanager
def _place(webroot: Path, token: str, *, make: int | None = None) -> Iterator[Place]:
    """Walk to the place of a response; ``make`` are the permission bits of missing directories."""
    with walk(webroot, shared=True) as walking:
        walking.follow(webroot)  # may be a symbolic link: the operator configured it
        walking.distrust("a user of the web server")
        yield walking.place(Path(DIRECTORY, token), make=make)
