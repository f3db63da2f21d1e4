"""The display of a command: on a terminal, as plain lines, as JSON, or none."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from gatecert.cli.progress_lines import ProgressLines, QuietLines
from gatecert.report.terminal import Terminal

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from gatecert.cli.closing import Closing
    from gatecert.cli.options import Options
    from gatecert.errors import GatecertError
    from gatecert.model import Message, Outcome, Stage


class Display(Protocol):
    """Shows the passes of a command; open while they run. Safe to use from several threads."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def expect(self, gateways: int) -> None:
        """Say how many gateways there are, if it is not one."""
        ...

    def __call__(self, gateway: str, stage: Stage, message: Message) -> None:
        """Show a step of a pass; a ``Progress``."""
        ...

    def write(self, line: str) -> None:
        """Show a line of the command itself."""
        ...

    def finish(self, outcome: Outcome) -> None:
        """Show the outcome of a gateway's pass."""
        ...

    def refuse(self, gateway: str, error: GatecertError) -> None:
        """Show why a gateway's pass was not run."""
        ...

    def interrupt(self, gateway: str, state: str) -> None:
        """Show what an interrupted pass left in place."""
        ...

    def close(self, closing: Closing) -> None:
        """Show the last line: what to do next."""
        ...


def open_display(options: Options | None = None, *, as_json: bool = False) -> Display:
    """Return the display for standard output.

    Args:
        options: The options in front of the command, if they may change the display.
        as_json: Whether programs read it.
    """
    if as_json:
        from gatecert.cli.progress_json import ProgressJson  # noqa: PLC0415 - seldom needed

        return ProgressJson()
    if options is not None and options.quiet:
        return QuietLines()
    terminal = Terminal.of(sys.stdout)
    if terminal.is_live:
        from gatecert.cli.live_progress import LiveProgress  # noqa: PLC0415 - on a terminal only

        return LiveProgress(sys.stdout)
    return ProgressLines()
