"""The worker process: takes work from the core, runs passes in threads, and reports each.

The core's signals are not for the worker: service managers and terminals send them to every process
of a service, and the core decides what follows. SIGABRT writes where each thread is.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from gatecert import container
from gatecert.garbage_collection import quick_imports
from gatecert.system_calls import keep_memory_private

if TYPE_CHECKING:
    from types import FrameType

IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main() -> None:
    """Run until the core asks to leave or has ended.

    The arguments are the directory of this package, the descriptors of the connection and of the
    snapshot, and ``--debug``.
    """
    for number in IGNORED:
        # A handler, since children would inherit SIG_IGN.
        signal.signal(number, _ignore)
    container.in_container = container.is_container()
    _, _, connection, snapshot, *options = sys.argv
    os.read(int(connection), 1)  # `spawn` has opened what it reads of this process
    keep_memory_private()
    with quick_imports():
        from gatecert.report.terminal import CleanStream  # noqa: PLC0415 - as below
        from gatecert.worker.work import run  # noqa: PLC0415 - signals first: imports take long

    sys.stdout, sys.stderr = map(CleanStream.around, (sys.stdout, sys.stderr))  # of libraries
    run(int(connection), int(snapshot), debug="--debug" in options)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Leave it to the core."""
