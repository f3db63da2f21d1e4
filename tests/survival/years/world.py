"""True time, the clocks of one machine, and what goes wrong around it: all by one seed."""

from __future__ import annotations

import math
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BEGIN = datetime(2026, 11, 23, tzinfo=UTC)
SPAN = timedelta(days=400)
CLOCK_IS_RIGHT = timedelta(minutes=5)  # as far as an authority's certificates mind


class Trouble(StrEnum):
    """Troubles that occur for a while."""

    AUTHORITY = "authority out of reach"
    FLAKY = "authority fails now and then"
    WINDOWS = "authority's renewal windows are wrong"
    DNS = "nameservers out of reach"
    NETWORK = "no network"
    ELSEWHERE = "name points elsewhere"
    UNVALIDATED = "authority does not reach the gateway"
    PORT = "challenge cannot be presented"
    DISK = "disk full"
    STUBBORN = "reloads fail"
    UNPROVABLE = "listener cannot be proven"
    SHORT_LIVED = "authority issues for minutes"
    UNTRUSTED = "authority issues from an unknown root"
    CLOCK = "clock wrong"
    ASLEEP = "machine suspended"
    STOPPED = "daemon stopped"


# How often a year where anything goes wrong at all, and for how long: shortest, longest.
TROUBLES: dict[Trouble, tuple[float, timedelta, timedelta]] = {
    Trouble.AUTHORITY: (6, MINUTE, 20 * DAY),
    Trouble.FLAKY: (4, 10 * MINUTE, 10 * DAY),
    Trouble.WINDOWS: (2, HOUR, 10 * DAY),
    Trouble.DNS: (4, MINUTE, 5 * DAY),
    Trouble.NETWORK: (6, MINUTE, 20 * DAY),
    Trouble.ELSEWHERE: (6, 2 * MINUTE, 5 * DAY),
    Trouble.UNVALIDATED: (4, 10 * MINUTE, 20 * DAY),
    Trouble.PORT: (2, 10 * MINUTE, 6 * HOUR),
    Trouble.DISK: (3, MINUTE, 2 * HOUR),
    Trouble.STUBBORN: (2, 10 * MINUTE, 2 * DAY),
    Trouble.UNPROVABLE: (2, 10 * MINUTE, 5 * DAY),
    Trouble.SHORT_LIVED: (1, HOUR, 5 * DAY),
    Trouble.UNTRUSTED: (1, HOUR, 5 * DAY),
    Trouble.CLOCK: (4, MINUTE, DAY),
    Trouble.ASLEEP: (6, MINUTE, 10 * DAY),
    Trouble.STOPPED: (6, MINUTE, 10 * DAY),
}


class Happening(StrEnum):
    """An event at an instant."""

    KILLED = "daemon killed, in the middle of a request if there is one"
    RESTARTED = "daemon restarted"
    STATE_LOST = "state file damaged"
    REVOKED = "certificate revoked"
    LOOK_NOW = "told to look at everything again"


HAPPENINGS: dict[Happening, float] = {
    Happening.KILLED: 8,
    Happening.RESTARTED: 8,
    Happening.STATE_LOST: 0.5,
    Happening.REVOKED: 0.5,
    Happening.LOOK_NOW: 4,
}


class Killed(BaseException):
    """The daemon is no more."""


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """Something begins, ends or happens.

    Attributes:
        offset: How wrong the clock is from then on, where this is about the clock.
    """

    at: datetime
    what: Trouble | Happening
    begins: bool = True
    offset: timedelta = timedelta(0)


def story(chance: random.Random, span: timedelta) -> list[Change]:
    """Everything that is going to happen, in order; in some years more of it, in others less."""
    changes: list[Change] = []
    intensity = chance.choice((0.0, 0.3, 1.0, 1.0, 3.0))
    years = span / (365 * DAY)
    for trouble, (often, shortest, longest) in TROUBLES.items():
        for _ in range(_number(chance, often * intensity * years)):
            begin = BEGIN + span * chance.random()
            length = _length(chance, shortest, longest)
            offset = timedelta(0)
            if trouble is Trouble.CLOCK:
                offset = _length(chance, MINUTE, 800 * DAY) * chance.choice((-1, 1))
            changes.append(Change(begin, trouble, offset=offset))
            changes.append(Change(begin + length, trouble, begins=False, offset=-offset))
    for happening, often in HAPPENINGS.items():
        number = _number(chance, often * intensity * years)
        changes += [Change(BEGIN + span * chance.random(), happening) for _ in range(number)]
    return sorted(changes)


def _number(chance: random.Random, expected: float) -> int:
    """Poisson (Knuth)."""
    limit, number, product = math.exp(-expected), 0, chance.random()
    while product > limit:
        number, product = number + 1, product * chance.random()
    return number


def _length(chance: random.Random, shortest: timedelta, longest: timedelta) -> timedelta:
    """As often between a minute and ten as between a day and ten."""
    return shortest * math.exp(chance.uniform(0, math.log(longest / shortest)))


@dataclass
class World:
    """The true time, the machine's clocks, and the current troubles.

    Attributes:
        time: The true time.
        offset: How far the machine's wall clock is ahead of it.
        uptime: Seconds on the machine's monotonic clock, which stands still in suspend.
        sound_since: Since when nothing has been wrong; None while something is.
        doomed: After how many more requests the daemon is killed; None if it lives on.
    """

    chance: random.Random
    changes: list[Change]
    time: datetime = BEGIN
    offset: timedelta = timedelta(0)
    uptime: float = 1000.0
    sound_since: datetime | None = BEGIN
    doomed: int | None = None
    wrong: Counter[Trouble] = field(default_factory=Counter)
    events: list[Change] = field(default_factory=list)
    _next: int = 0

    def now(self) -> datetime:
        """By the machine's wall clock."""
        return self.time + self.offset

    def monotonic(self) -> float:
        """By the machine's monotonic clock."""
        return self.uptime

    def sleep(self, seconds: float) -> None:
        """As ``time.sleep``."""
        self.take(timedelta(seconds=max(0.0, seconds)))

    def take(self, span: timedelta, *, asleep: bool = False) -> None:
        """Let time pass, and happen what happens meanwhile."""
        end = self.time + span
        if not asleep:
            self.uptime += span.total_seconds()
        while self._next < len(self.changes) and self.changes[self._next].at <= end:
            change = self.changes[self._next]
            self._next += 1
            self.time = max(self.time, change.at)
            self._apply(change)
        self.time = end
        if self.wrong:
            self.sound_since = None

    @property
    def next_change(self) -> datetime | None:
        """When something changes next."""
        return self.changes[self._next].at if self._next < len(self.changes) else None

    def disturb(self) -> None:
        """Something was wrong just now."""
        self.sound_since = None if self.wrong else self.time

    def is_wrong(self, *troubles: Trouble) -> bool:
        """Return True if any of these troubles is active."""
        return any(trouble in self.wrong for trouble in troubles)

    def _apply(self, change: Change) -> None:
        self.events.append(change)
        if isinstance(change.what, Happening):
            self.disturb()
            return
        if change.what is Trouble.CLOCK:
            self.offset += change.offset
            if abs(change.offset) <= CLOCK_IS_RIGHT:
                return
        self.wrong[change.what] += 1 if change.begins else -1
        self.wrong = +self.wrong
        self.disturb()

    def happened(self) -> Iterator[Change]:
        """Return the events since the last call."""
        events, self.events = self.events, []
        yield from events


class WorldsEvent(threading.Event):
    """An event that is never set; waiting for it advances the simulated time."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self._world.sleep(timeout)
        return self.is_set()
