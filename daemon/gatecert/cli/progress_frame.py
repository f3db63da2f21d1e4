"""The lines of a live display: pure functions of what each gateway is doing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gatecert.model import Message, Stage, Wait
from gatecert.report.terminal import Style, cells, pad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.report.terminal import Terminal

STAGE_WIDTH: Final = max(map(len, Stage))
LONGEST_NAME: Final = 24  # columns of a gateway's name
SHORTEST_TEXT: Final = 10  # columns of a message; with less, the name is left out
SHOWN_SECONDS: Final = 1.0  # steps that take less need no clock


@dataclass(frozen=True, slots=True)
class Activity:
    """The present step of a gateway's pass.

    Attributes:
        since: When the message came, on ``time.monotonic()``.
        stage_since: When the stage began.
        said: The last line of the stage, which stays on the screen when the next one comes.
    """

    gateway: str
    stage: Stage
    message: Message
    since: float
    stage_since: float
    said: str = ""

    @classmethod
    def first(cls, gateway: str, stage: Stage, message: Message, now: float) -> Activity:
        """Return the activity that a pass begins with."""
        said = message if isinstance(message, str) else ""
        return cls(gateway, stage, message, now, now, said)

    def followed_by(self, stage: Stage, message: Message, now: float) -> Activity:
        """Return the activity after the next message; the clock of a repeated wait runs on."""
        if stage is not self.stage:
            return Activity.first(self.gateway, stage, message, now)
        if isinstance(message, str):
            return replace(self, message=message, since=now, said=message)
        repeated = isinstance(self.message, Wait) and message.reason == self.message.reason
        return self if repeated else replace(self, message=message, since=now)

    def text(self) -> str:
        """Return the message in words."""
        if isinstance(self.message, Wait):
            return f"{self.stage}: waiting for {self.message.reason}"
        return f"{self.stage}: {self.message}"

    def clock(self, now: float) -> str:
        """Return the seconds since the message, and the most there may be; empty if they are few.

        The time of a wait never exceeds its limit, which is rounded.
        """
        elapsed = max(0.0, now - self.since)
        limit = self.message.seconds if isinstance(self.message, Wait) else None
        if limit is not None and limit >= SHOWN_SECONDS:
            return f"{min(int(elapsed), round(limit))}/{round(limit)} s"
        return f"{int(elapsed)} s" if elapsed >= SHOWN_SECONDS else ""


@dataclass(frozen=True, slots=True)
class Count:
    """The number of gateways, and of those that are done."""

    total: int = 1
    finished: int = 0


def frame(  # noqa: PLR0913 - what is shown, and where
    activities: Sequence[Activity],
    count: Count,
    terminal: Terminal,
    *,
    now: float,
    turn: int,
    height: int,
) -> list[str]:
    """Return the lines to show now, each of at most the terminal's width.

    Args:
        activities: What the gateways in progress are doing, the oldest first.
        count: All gateways.
        terminal: What the terminal can show.
        now: On ``time.monotonic()``.
        turn: Turns the spinner.
        height: The most lines.
    """
    spinner = terminal.spinner(turn)
    if count.total == 1:
        return [line for each in activities[:1] for line in _steps(each, spinner, terminal, now)]
    shown = activities[: max(0, height - 1)]
    width = min(LONGEST_NAME, max((cells(each.gateway) for each in shown), default=0))
    lines = [_line(each, _fitted(each.gateway, width), spinner, terminal, now) for each in shown]
    return [*lines, f"  {clip(_count(activities, shown, count), _narrower(terminal, 2))}"]


def said_lines(activity: Activity, terminal: Terminal, seconds: float | None = None) -> list[str]:
    """Return the last line of a stage, which stays on the screen, with the stage's duration."""
    if not activity.said:
        return []
    head = f"  {activity.stage:<{STAGE_WIDTH}}  "
    *lines, last = terminal.wrap(activity.said, first=head)
    if seconds is None:
        return [*lines, last]
    took = terminal.styled(f"({seconds:.1f} s)", Style.DIM)
    if terminal.fits(f"{last} {took}"):
        return [*lines, f"{last} {took}"]
    return [*lines, last, f"{'':{len(head)}}{took}"]


def clip(text: str, terminal: Terminal) -> str:
    """Return a text without styles on one line, cut between words where that is possible."""
    whole = terminal.plain(" ".join(text.split()))
    if terminal.width is None or terminal.fits(whole):
        return whole
    mark = terminal.plain("…")
    room = terminal.width - cells(mark)
    while cells(whole) > room:
        before, space, _ = whole.rpartition(" ")
        whole = before if space else whole[:-1]
    return whole + mark


def _steps(activity: Activity, spinner: str, terminal: Terminal, now: float) -> list[str]:
    """Return the last line of the only gateway, and what it waits for."""
    said = said_lines(activity, terminal) if isinstance(activity.message, Wait) else []
    return [*said, _line(activity, "", spinner, terminal, now)]


def _line(activity: Activity, name: str, spinner: str, terminal: Terminal, now: float) -> str:
    """Return ``⠙ boston  verify: waiting for 127.0.0.1:443 to serve it  9/15 s``."""
    clock = activity.clock(now)
    clock = f"  {clock}" if clock else ""
    head = f"{name}  " if name else ""
    rest = _narrower(terminal, cells(f"{spinner} {head}{clock}") + 1)
    if head and rest.width is not None and rest.width < SHORTEST_TEXT:
        return f"{spinner} {clip(name, _narrower(terminal, 2))}"
    text = clip(activity.text(), rest)
    return f"{spinner} {terminal.styled(head, Style.BOLD)}{text}{terminal.styled(clock, Style.DIM)}"


def _count(activities: Sequence[Activity], shown: Sequence[Activity], count: Count) -> str:
    """Return how many gateways are done, in progress and left."""
    left = count.total - count.finished - len(activities)
    parts = [f"{count.finished} of {count.total} done"]
    hidden = len(activities) - len(shown)
    if hidden > 0:
        parts.append(f"{hidden} more in progress")
    if left > 0:
        parts.append(f"{left} to begin")
    return ", ".join(parts)


def _narrower(terminal: Terminal, columns: int) -> Terminal:
    """Return a terminal with fewer columns."""
    return terminal if terminal.width is None else replace(terminal, width=terminal.width - columns)


def _fitted(name: str, width: int) -> str:
    """Return a name at exactly that width."""
    while cells(name) > width:
        name = name[:-1]
    return pad(name, width)
