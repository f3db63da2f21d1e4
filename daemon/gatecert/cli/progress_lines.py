"""The progress of a command on standard output."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from gatecert.cli.output import write_line
from gatecert.report.terminal import has_colours
from gatecert.time_format import instant

if TYPE_CHECKING:
    from typing import TextIO

    from gatecert.model import Message, Outcome, Stage

BOLD, GREEN, RED, PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[0m"


class ProgressLines:
    """Prints one line for each step; marks and colours only on a terminal.

    A line that cannot be written is dropped: the work goes on if nobody reads the output.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, gateway: str, stage: Stage, message: Message) -> None:
        """Print a step; a wait leaves no line."""
        if not isinstance(message, str):
            return
        name = f"{BOLD}{gateway}{PLAIN}" if has_colours(sys.stdout) else gateway
        self.write(f"{name}: {stage}: {message}")

    def finish(self, outcome: Outcome) -> None:
        """Print the outcome of a gateway's pass."""
        succeeded = outcome.settled
        stream = sys.stdout if succeeded else sys.stderr
        mark = ""
        if stream.isatty():
            mark = "✓ " if succeeded else "✗ "
        if has_colours(stream):
            mark = f"{GREEN if succeeded else RED}{mark}{PLAIN}"
        line = (
            f"{mark}{outcome.gateway}: {outcome.kind}: {outcome.detail} ({outcome.seconds:.2f} s)"
        )
        if outcome.fix:
            line += f"; {outcome.fix}"
        if outcome.next_at is not None:
            line += f"; next: {outcome.next_action} at {instant(outcome.next_at)}"
        self._line(line, stream)

    def write(self, line: str) -> None:
        """Print a line."""
        self._line(line, sys.stdout)

    def _line(self, line: str, stream: TextIO) -> None:
        with self._lock:
            write_line(stream, line)
