"""Reading of files that may be damaged, and what happens to damaged ones.

A damaged file (empty, garbage, another encoding, a directory in its place) is logged, renamed to
``<name>.damaged-<time>`` for inspection, and counts as missing. A file that cannot be read
(permissions, a failing disk) is a StorageError instead.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatecert.errors import StorageError
from gatecert.store import durable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

LARGEST = 4 * 1024 * 1024  # bytes; valid files have a few kilobytes
DAMAGED_KEPT = 3

# A directory, a socket, a cyclic link, a file in place of a directory
_SOMETHING_ELSE = {errno.EISDIR, errno.ENXIO, errno.ELOOP, errno.ENOTDIR}


class DamagedRecordError(ValueError):
    """Stored data that is not a record of the expected kind; the message is one line."""


def read_file(path: Path, *, largest: int = LARGEST) -> bytes | None:
    """Return the contents of a file; None if it is missing.

    Args:
        path: The file.
        largest: In bytes; a larger file counts as damaged.

    Raises:
        DamagedRecordError: It is not a regular file, or too large.
        StorageError: It exists but cannot be read.
    """
    with durable.step("read", path), open_file(path) as descriptor:
        if descriptor is None:
            return None
        data = read_all(descriptor, largest)
    if len(data) > largest:
        raise DamagedRecordError(f"it has more than {largest} bytes")
    return data


@contextmanager
def open_file(path: Path) -> Iterator[int | None]:
    """Open a file for reading; None if it is missing.

    Raises:
        DamagedRecordError: It is not a regular file.
        OSError: It exists but cannot be opened.
    """
    descriptor = _open(path)
    if descriptor is None:
        yield None
        return
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DamagedRecordError("it is not a file")
        yield descriptor
    finally:
        os.close(descriptor)


def read_all(descriptor: int, largest: int) -> bytes:
    """Read everything that follows, or a little more than the accepted size."""
    data = bytearray()
    while len(data) <= largest and (part := os.read(descriptor, LARGEST)):
        data += part
    return bytes(data)


def quarantine(path: Path, reason: str) -> None:
    """Rename a damaged file, and keep only the latest few of them."""
    now = datetime.now(UTC)
    aside = path.with_name(f"{path.name}.damaged-{now:%Y%m%dT%H%M%S.%fZ}")
    try:
        with durable.step("set aside", path):
            path.rename(aside)
    except StorageError as error:
        logger.warning("damaged path=%s why=%r read=as-new set_aside=no: %s", path, reason, error)
        return
    logger.warning("damaged path=%s why=%r read=as-new set_aside=%s", path, reason, aside.name)
    earlier = sorted(path.parent.glob(f"{path.name}.damaged-*"))
    for old in earlier[:-DAMAGED_KEPT]:
        try:
            if old.is_dir() and not old.is_symlink():
                durable.remove_tree(old)
            else:
                durable.remove_file(old)
        except StorageError as error:
            logger.warning("an old damaged file stays behind: %s", error)


def _open(path: Path) -> int | None:
    try:
        # A named pipe must not block.
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _SOMETHING_ELSE:
            raise DamagedRecordError(os.strerror(error.errno)) from error
        raise
