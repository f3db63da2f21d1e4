"""Days, instants and lengths of time, as every line that a person reads shows them."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

UNITS = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)


def instant(moment: datetime) -> str:
    """Return ``2026-11-23 08:15:00 UTC``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def day(moment: datetime) -> str:
    """Return ``2026-11-23``, the day in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d")


def duration(length: timedelta) -> str:
    """Return a length of time in its largest unit: ``2 minutes``, ``1 day``, ``15 seconds``."""
    name, unit = next((each for each in UNITS if length >= each[1]), UNITS[-1])
    count = length // unit
    return f"{count} {name}{'' if count == 1 else 's'}"


def time_left(end: datetime, now: datetime) -> str:
    """Return ``2 minutes left``, or ``ended 15 seconds ago``."""
    return f"{duration(end - now)} left" if end > now else f"ended {duration(now - end)} ago"
