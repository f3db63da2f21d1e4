"""Pauses before a process that was lost is started again, each twice as long as the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_PAUSE: Final = 1.0  # seconds
LONGEST_PAUSE: Final = 300.0  # seconds


class RestartPauses:
    """The pauses of one kind of process.

    Args:
        monotonic: The clock, in seconds.

    Attributes:
        until: When the process may be started again, on that clock.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._now = monotonic
        self._losses = 0
        self.until = 0.0

    @property
    def seconds(self) -> float:
        """The rest of the pause; zero if it is over."""
        return max(0.0, self.until - self._now())

    def lost(self) -> None:
        """Begin a pause: the process was lost, or cannot be started."""
        pause = min(FIRST_PAUSE * 2**self._losses, LONGEST_PAUSE)
        self.until = self._now() + pause
        self._losses += pause < LONGEST_PAUSE

    def settled(self) -> None:
        """Begin with the shortest pause the next time: the process has worked."""
        self._losses = 0
