"""A point on the monotonic clock by which an operation has to be over."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """Total time allowed for an operation, however many steps it has.

    Attributes:
        at: Instant on ``time.monotonic()``, in seconds.
    """

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """A deadline that many seconds from now."""
        return cls(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.remaining <= 0.0

    def within(self, seconds: float) -> float:
        """The shorter of ``seconds`` and the time that is left."""
        return min(seconds, self.remaining)
