"""Spans of time as a person says them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

UNITS = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
)


def span(length: timedelta) -> str:
    """In the largest unit that it fills: ``2 minutes``, ``1 day``; ``15 s`` below a minute."""
    for name, unit in UNITS:
        count = length // unit
        if count > 0:
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{int(length.total_seconds())} s"


def until(end: datetime, now: datetime) -> str:
    """How far an end is away: ``2 minutes left``, ``ended 15 s ago``."""
    return f"{span(end - now)} left" if end > now else f"ended {span(now - end)} ago"
