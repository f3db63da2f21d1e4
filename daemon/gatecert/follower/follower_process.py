"""The follower process: connected to the core and to the fleet's database."""

from __future__ import annotations

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
    from gatecert.follower.follower import run  # noqa: PLC0415 - signals first: imports take long
    from gatecert.report.terminal import CleanStream  # noqa: PLC0415 - as above

    sys.stdout, sys.stderr = map(CleanStream.around, (sys.stdout, sys.stderr))
    level = logging.DEBUG if "--debug" in options else logging.INFO
    run(socket.socket(fileno=int(descriptor)), level)
