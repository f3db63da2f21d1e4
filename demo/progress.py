"""Progress on the terminal: one line a step, with its duration."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

TIME_WIDTH = 8


class StepFailedError(Exception):
    """A step failed; the message says which one and why."""


class Progress:
    """Printed steps; on a terminal, the current step as well."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.started = time.monotonic()

    def chapter(self, title: str) -> None:
        """Print the title of a chapter."""
        self.console.print()
        self.console.print(Text(title, style="bold"))

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show a step while it runs, and its result."""
        step = Step(title)
        if self.console.is_terminal:
            with self.console.status(f"{title} …", spinner="dots"):
                yield step
        else:
            yield step
        took = f"{time.monotonic() - step.started:.2f} s".rjust(TIME_WIDTH)
        line = Text.assemble((took, "dim"), "  ", (step.mark, step.style), f" {title}")
        self.console.print(line)
        for detail in step.details:
            self.console.print(Text(f"{' ' * (TIME_WIDTH + 4)}{detail}", style="dim"))

    def finish(self, text: str) -> None:
        """Print the last line."""
        took = time.monotonic() - self.started
        self.console.print()
        self.console.print(Text(f"{text} ({took:.1f} s in all)", style="bold green"))

    def fail(self, reason: str, evidence: str) -> None:
        """Print the reason of a failure, and the daemon's last lines."""
        self.console.print()
        self.console.print(Text(f"The demonstration failed: {reason}", style="bold red"))
        if evidence:
            self.console.print(Text("Output of gatecert:", style="bold"))
            self.console.print(Text(evidence))


class Step:
    """A running step."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.started = time.monotonic()
        self.details: list[str] = []
        self.mark = "✓"
        self.style = "green"

    def since(self, instant: float) -> None:
        """Count the time from an earlier instant on ``time.monotonic()``."""
        self.started = instant

    def tell(self, detail: str) -> None:
        """Add a line of detail."""
        self.details.append(detail)

    def require(self, condition: object, reason: str) -> None:
        """Fail the step unless a condition holds.

        Raises:
            StepFailedError: The condition does not hold.
        """
        if not condition:
            raise StepFailedError(f"{self.title}: {reason}")
