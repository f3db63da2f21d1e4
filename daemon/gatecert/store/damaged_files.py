"""Reading of files that may be damaged, and what happens to damaged ones.

A damaged file (empty, garbage, another encoding, a directory, link, pipe or device in its place) is
logged, renamed to ``<name>.damaged-<time>`` for inspection, and counts as missing. A file that
cannot be read (permissions, a failing disk) is a StorageError instead.
"""

from __future__ import annotations

import errno
import logging
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatecert import regular_files
from gatecert.errors import StorageError
from gatecert.regular_files import IrregularFileError
from gatecert.store import durable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

LARGEST = 4 * 1024 * 1024  # bytes; valid files have a few kilobytes
DAMAGED_KEPT = 3


class DamagedRecordError(ValueError):
    """Stored data that is not a record of the expected kind; the message is one line."""


def read_file(path: Path, *, largest: int = LARGEST) -> bytes | None:
    """Return the contents of a file of the state directory; None if it is missing.

    Args:
        path: The file.
        largest: In bytes; a larger file counts as damaged.

    Raises:
        DamagedRecordError: It is not a regular file, or too large.
        StorageError: It exists but cannot be read.
    """
    with durable.step("read", path), open_file(path) as descriptor:
        return None if descriptor is None else read_all(descriptor, largest)


@contextmanager
def open_file(path: Path) -> Iterator[int | None]:
    """Open a file of the state directory for reading; None if it is missing.

    Raises:
        DamagedRecordError: It is not a regular file.
        OSError: It exists but cannot be opened.
    """
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(regular_files.opened(path, follow_links=False))
        except FileNotFoundError:
            opened = None
        except IrregularFileError as error:
            raise DamagedRecordError(error.strerror) from error
        except OSError as error:
            if error.errno == errno.ENOTDIR:  # a file in place of its directory
                raise DamagedRecordError(error.strerror) from error
            raise
        yield opened


def read_all(descriptor: int, largest: int) -> bytes:
    """Read everything that follows.

    Raises:
        DamagedRecordError: That is more than ``largest`` bytes.
    """
    try:
        return regular_files.read_on(descriptor, largest)
    except IrregularFileError as error:
        raise DamagedRecordError(error.strerror) from error


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
