"""Tells another daemon with this host's name from the one that ran here before.

A daemon that has ended leaves its life in the row of its host, and a transaction of it may even
arrive late. Only one that runs signs again and again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatecert.model.fleet import SILENT_AFTER

if TYPE_CHECKING:
    from uuid import UUID

ENOUGH: Final = 2  # sightings, after this process has signed for the first time
REMEMBERED: Final = SILENT_AFTER.total_seconds()


class OtherLives:
    """The sightings of other lives by this process."""

    def __init__(self) -> None:
        self._has_signed = False
        self._sightings: list[float] = []

    def signed(self, other: UUID | None, now: float) -> bool:
        """Tell whether another daemon goes on signing with this host's name.

        Args:
            other: The other life that has signed since this process did; None if none has.
            now: The time of a monotonic clock, in seconds.
        """
        if other is not None and self._has_signed:
            self._sightings.append(now)
        self._has_signed = True
        self._sightings = [each for each in self._sightings if each > now - REMEMBERED]
        return len(self._sightings) >= ENOUGH
