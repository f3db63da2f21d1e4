"""The deadline of an operation on the monotonic clock, or an event that ends it earlier."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from threading import Event


@dataclass(frozen=True, slots=True)
class Deadline:
    """The total time of an operation, over all its steps.

    Attributes:
        at: Instant on ``time.monotonic()``, in seconds.
        cancelled: When set, no time is left: gatecert is stopping.
    """

    at: float
    cancelled: Event | None = field(default=None, compare=False, repr=False)

    @classmethod
    def after(cls, seconds: float, cancelled: Event | None = None) -> Deadline:
        """Return a deadline that many seconds from now."""
        return cls(time.monotonic() + seconds, cancelled)

    @property
    def interrupted(self) -> bool:
        """True after a cancellation, regardless of the time."""
        return self.cancelled is not None and self.cancelled.is_set()

    @property
    def remaining(self) -> float:
        """The seconds left, at least zero."""
        return 0.0 if self.interrupted else max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        """True if no time is left."""
        return self.remaining <= 0.0

    def within(self, seconds: float) -> float:
        """Return ``seconds``, or the time left if that is shorter."""
        return min(seconds, self.remaining)

    def sooner(self, seconds: float) -> Deadline:
        """Return the deadline of a step: at most ``seconds`` from now, never after this one."""
        return replace(self, at=min(self.at, time.monotonic() + seconds))

    def wait(self, seconds: float) -> None:
        """Wait for ``seconds``, or for the time left; a cancellation ends the wait at once."""
        if self.cancelled is None:
            time.sleep(self.within(seconds))
        else:
            self.cancelled.wait(self.within(seconds))
