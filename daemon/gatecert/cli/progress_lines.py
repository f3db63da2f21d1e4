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

    from gatecert.model import Outcome, Stage

BOLD, GREEN, RED, PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[0m"


class ProgressLines:
    """One line a step, as it happens; marks and colours only for a person.

    The work goes on where nobody reads the lines: what cannot be written is left out.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, gateway: str, stage: Stage, message: str) -> None:
        """Tell of a step."""
        name = f"{BOLD}{gateway}{PLAIN}" if has_colours(sys.stdout) else gateway
        self.tell(f"{name}: {stage}: {message}")

    def ended(self, outcome: Outcome) -> None:
        """Tell how a gateway's pass ended."""
        good = outcome.settled
        stream = sys.stdout if good else sys.stderr
        mark = ""
        if stream.isatty():
            mark = "✓ " if good else "✗ "
        if has_colours(stream):
            mark = f"{GREEN if good else RED}{mark}{PLAIN}"
        line = (
            f"{mark}{outcome.gateway}: {outcome.kind}: {outcome.detail} ({outcome.seconds:.2f} s)"
        )
        if outcome.fix:
            line += f"; {outcome.fix}"
        if outcome.next_at is not None:
            line += f"; next: {outcome.next_action} at {instant(outcome.next_at)}"
        self._line(line, stream)

    def tell(self, line: str) -> None:
        """Tell of a step that has words of its own."""
        self._line(line, sys.stdout)

    def _line(self, line: str, stream: TextIO) -> None:
        with self._lock:
            write_line(stream, line)
