"""The monitor process: connected to the core, it serves listeners and tells receivers."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys

from gatecert.supervision.child_start import begin


def main() -> None:
    """Run until the core asks to leave or has ended.

    The arguments are the directory of this package, the descriptor of the connection, and
    ``--debug``.
    """
    _, _, descriptor, *options = sys.argv
    begin(int(descriptor))
    from gatecert.monitoring.monitor import run  # noqa: PLC0415 - signals first: imports take long
    from gatecert.report.terminal import CleanStream  # noqa: PLC0415 - as above

    sys.stdout, sys.stderr = map(CleanStream.around, (sys.stdout, sys.stderr))
    level = logging.DEBUG if "--debug" in options else logging.INFO
    asyncio.run(run(socket.socket(fileno=int(descriptor)), level))
