"""A point on the monotonic clock by which an operation has to be over, or an event that ends it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from threading import Event


@dataclass(frozen=True, slots=True)
class Deadline:
    """Total time allowed for an operation, however many steps it has.

    Attributes:
        at: Instant on ``time.monotonic()``, in seconds.
        cancelled: Once set, no time is left: gatecert is stopping.
    """

    at: float
    cancelled: Event | None = field(default=None, compare=False, repr=False)

    @classmethod
    def after(cls, seconds: float, cancelled: Event | None = None) -> Deadline:
        """A deadline that many seconds from now."""
        return cls(time.monotonic() + seconds, cancelled)

    @property
    def interrupted(self) -> bool:
        """Whether it was cancelled, however much time there was."""
        return self.cancelled is not None and self.cancelled.is_set()

    @property
    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return 0.0 if self.interrupted else max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.remaining <= 0.0

    def within(self, seconds: float) -> float:
        """The shorter of ``seconds`` and the time that is left."""
        return min(seconds, self.remaining)

    def sooner(self, seconds: float) -> Deadline:
        """The deadline of one step, at most ``seconds`` from now and never after this one."""
        return replace(self, at=min(self.at, time.monotonic() + seconds))

    def wait(self, seconds: float) -> None:
        """Let ``seconds`` go by, or what is left of them; a cancellation ends the wait at once."""
        if self.cancelled is None:
            time.sleep(self.within(seconds))
        else:
            self.cancelled.wait(self.within(seconds))
