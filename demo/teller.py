"""Tells a story on the terminal: one line a step, with the time that it took."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

TIME_WIDTH = 8


class StoryBrokenError(Exception):
    """The story did not go on as it should; the message says where and why."""


class Teller:
    """Prints steps as they end, and what is being waited for meanwhile on a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.started = time.monotonic()

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self.console.print()
        self.console.print(Text(title, style="bold"))

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Tell one step: what it is while it lasts, and how it ended."""
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

    def end(self, text: str) -> None:
        """The last line."""
        took = time.monotonic() - self.started
        self.console.print()
        self.console.print(Text(f"{text} ({took:.1f} s in all)", style="bold green"))

    def broken(self, reason: str, evidence: str) -> None:
        """The last lines of a story that broke off."""
        self.console.print()
        self.console.print(Text(f"The story broke off: {reason}", style="bold red"))
        if evidence:
            self.console.print(Text("gatecert said:", style="bold"))
            self.console.print(Text(evidence))


class Step:
    """One step while it lasts."""

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
        """Something that was seen."""
        self.details.append(detail)

    def require(self, condition: object, reason: str) -> None:
        """Break the story off unless something is true.

        Raises:
            StoryBrokenError: It is not.
        """
        if not condition:
            raise StoryBrokenError(f"{self.title}: {reason}")
