"""The configuration in force, in memory that the core and its workers share.

The worker that has read a configuration file writes the result into an anonymous file (memfd) of
the core. Later workers start from it: quickly, and from the configuration in force, whatever the
file contains by then. It holds secrets, so it never reaches a disk; the seals make it unchangeable.
The core never reads it.
"""

from __future__ import annotations

import fcntl
import os
import pickle
from typing import TYPE_CHECKING

from gatecert.garbage_collection import without_garbage_collection

if TYPE_CHECKING:
    from gatecert.config.schema import Configuration

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


def write(descriptor: int, configuration: Configuration) -> None:
    """Write a configuration into an empty anonymous file, for good."""
    data = memoryview(pickle.dumps(configuration, pickle.HIGHEST_PROTOCOL))
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], written)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)


def read(descriptor: int) -> Configuration:
    """Return the configuration; only workers of this daemon have written it."""
    size, data = os.fstat(descriptor).st_size, bytearray()
    while len(data) < size:
        data += os.pread(descriptor, size - len(data), len(data))
    with without_garbage_collection():
        configuration: Configuration = pickle.loads(data)  # noqa: S301 - see the module
    return configuration
