"""Reading of files: the only place that opens one, so that nothing in its place can hang gatecert.

A named pipe does not block (open(2), ``O_NONBLOCK``), and only a regular file is read. Its size is
limited: a sparse file has any size, and some files of the kernel have no end. Files of gatecert's
own are never links, so a link in the place of one is refused; a file that the operator names may be
one.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST: Final = 16 << 20  # bytes; more than in any file that gatecert expects
PART: Final = 1 << 20  # bytes read at once


class IrregularFileError(OSError):
    """Something else than a regular file of the accepted size; ``strerror`` says what."""

    def __init__(self, what: str) -> None:
        super().__init__(None, what)


class TooLargeError(IrregularFileError):
    """A file has more bytes than are accepted."""


@contextmanager
def opened(path: Path, *, follow_links: bool) -> Iterator[int]:
    """Open a regular file for reading.

    Args:
        path: The file. Links in its directories are followed in any case.
        follow_links: Whether the file itself may be a link.

    Raises:
        IrregularFileError: It is something else.
        OSError: It is missing, or cannot be opened.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags if follow_links else flags | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise IrregularFileError("it is not a regular file") from error
        if error.errno == errno.ELOOP and not follow_links:
            raise IrregularFileError("it is a symbolic link") from error
        raise
    except ValueError as error:  # a null character
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from error
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IrregularFileError("it is a directory")
        if not stat.S_ISREG(mode):
            raise IrregularFileError("it is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def read(path: Path, largest: int = LARGEST) -> bytes:
    """Return the contents of a regular file, which may be a link to one.

    Args:
        path: The file.
        largest: In bytes.

    Raises:
        IrregularFileError: It is something else, or larger.
        OSError: It is missing, or cannot be read.
    """
    with opened(path, follow_links=True) as descriptor:
        return read_on(descriptor, largest)


def read_on(descriptor: int, largest: int) -> bytes:
    """Return everything that follows the position.

    Raises:
        TooLargeError: That is more than ``largest`` bytes.
        OSError: It cannot be read.
    """
    data = bytearray()
    while part := os.read(descriptor, min(PART, largest + 1 - len(data))):
        data += part
        if len(data) > largest:
            raise TooLargeError(f"it has more than {largest} bytes")
    return bytes(data)
