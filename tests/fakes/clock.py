"""Fixed instants, lengths of time, and clocks that only the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gatecert.deadline import Deadline

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
START = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass
class Clock:
    """A clock that stands still until the test moves it."""

    time: datetime = START

    def __call__(self) -> datetime:
        return self.time


@dataclass(frozen=True)
class Timeless(Deadline):
    """A deadline that has a given time left, of which waiting takes its part in no time."""

    waits: list[float] = field(default_factory=list, compare=False)

    @property
    def remaining(self) -> float:
        return 0.0 if self.interrupted else max(0.0, self.at - sum(self.waits))

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)

    @property
    def waited(self) -> float:
        return sum(self.waits)
