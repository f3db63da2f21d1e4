"""Reading what others keep: regular files of a sensible size, so that nothing waits for ever.

A named pipe in a directory of certificates would block whoever opens it until somebody writes.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def read_regular(path: Path, *, largest: int) -> bytes:
    """The contents of a regular file; links are followed.

    Args:
        path: The file.
        largest: Bytes; more is not looked at.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no regular file, or larger; says which.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(largest + 1)
    finally:
        os.close(descriptor)
    if len(data) > largest:
        raise ValueError(f"it has more than {largest >> 20} MiB")
    return data
