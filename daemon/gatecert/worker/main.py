"""The worker process: takes work from the core, runs passes in threads, and reports each."""

from __future__ import annotations

import sys

from gatecert.garbage_collection import quick_imports
from gatecert.supervision.child_start import begin


def main() -> None:
    """Run until the core asks to leave or has ended.

    The arguments are the directory of this package, the descriptors of the connection and of the
    snapshot, and ``--debug``.
    """
    _, _, connection, snapshot, *options = sys.argv
    begin(int(connection))
    with quick_imports():
        from gatecert.report.terminal import CleanStream  # noqa: PLC0415 - as below
        from gatecert.worker.work import run  # noqa: PLC0415 - signals first: imports take long

    sys.stdout, sys.stderr = map(CleanStream.around, (sys.stdout, sys.stderr))  # of libraries
    run(int(connection), int(snapshot), debug="--debug" in options)
