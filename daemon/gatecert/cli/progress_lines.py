"""The progress of a command as plain lines, for files, pipes and dumb terminals."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from gatecert.cli.output import write_error, write_line
from gatecert.report.terminal import Style, Terminal
from gatecert.time_format import instant

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self, TextIO

    from gatecert.cli.closing import Closing
    from gatecert.errors import GatecertError
    from gatecert.model import Message, Outcome, Stage


class ProgressLines:
    """Prints one line for each step; marks and colours only on a terminal.

    A line that cannot be written is dropped: the work goes on if nobody reads the output.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Do nothing: every line is complete."""

    def expect(self, gateways: int) -> None:
        """Do nothing: each line has its gateway."""

    def __call__(self, gateway: str, stage: Stage, message: Message) -> None:
        """Print a step; a wait leaves no line."""
        if isinstance(message, str):
            name = Terminal.of(sys.stdout).styled(gateway, Style.BOLD)
            self.write(f"{name}: {stage}: {message}")

    def write(self, line: str) -> None:
        """Print a line."""
        self._line(line, sys.stdout)

    def finish(self, outcome: Outcome) -> None:
        """Print the outcome of a gateway's pass."""
        stream = sys.stdout if outcome.settled else sys.stderr
        self._line(f"{mark_of(outcome, stream)}{outcome_line(outcome)}", stream)

    def refuse(self, gateway: str, error: GatecertError) -> None:
        """Print an error, which names the gateway."""
        del gateway
        with self._lock:
            write_error(str(error))

    def interrupt(self, gateway: str, state: str) -> None:
        """Print what an interrupted pass left in place."""
        self._line(f"{gateway}: interrupted: {state}", sys.stderr)

    def close(self, closing: Closing) -> None:
        """Do nothing: each outcome says what comes next."""

    def _line(self, line: str, stream: TextIO) -> None:
        with self._lock:
            write_line(stream, line)


class QuietLines(ProgressLines):
    """Prints only what went wrong."""

    def write(self, line: str) -> None:
        """Print nothing."""

    def finish(self, outcome: Outcome) -> None:
        """Print the outcome unless all is well."""
        if not outcome.settled:
            super().finish(outcome)


def outcome_line(outcome: Outcome) -> str:
    """Return an outcome on one line."""
    line = f"{outcome.gateway}: {outcome.kind}: {outcome.detail} ({outcome.seconds:.2f} s)"
    if outcome.fix:
        line += f"; {outcome.fix}"
    if outcome.next_at is not None:
        line += f"; next: {outcome.next_action} at {instant(outcome.next_at)}"
    return line


def mark_of(outcome: Outcome, stream: TextIO) -> str:
    """Return a check mark or a cross with a space; empty where no terminal shows it."""
    if not stream.isatty():
        return ""
    terminal = Terminal.of(stream)
    symbol, colour = ("✓", Style.GREEN) if outcome.settled else ("✗", Style.RED)
    return f"{terminal.styled(terminal.plain(symbol), colour)} "
