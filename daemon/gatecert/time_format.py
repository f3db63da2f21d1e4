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
MINUTE, HOUR, DAY = 60, 3_600, 86_400  # seconds
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
NEAR = timedelta(days=2)  # counted in hours until then, and without a date
SKEW = timedelta(minutes=2)  # between a time stored by one process and the clock of another


def instant(moment: datetime) -> str:
    """Return ``2026-11-23 08:15:00 UTC``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def minute(moment: datetime, now: datetime) -> str:
    """Return ``09:12 UTC``, with the day in front unless it is today."""
    moment, now = moment.astimezone(UTC), now.astimezone(UTC)
    return moment.strftime("%H:%M UTC" if moment.date() == now.date() else "%Y-%m-%d %H:%M UTC")


def day(moment: datetime) -> str:
    """Return ``2026-11-23``, the day in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d")


def duration(length: timedelta) -> str:
    """Return a length of time in its largest unit: ``2 minutes``, ``1 day``, ``15 seconds``.

    A negative one, which only a clock that was set back can cause, counts as none.
    """
    length = max(length, timedelta(0))
    name, unit = next((each for each in UNITS if length >= each[1]), UNITS[-1])
    count = length // unit
    return f"{count} {name}{'' if count == 1 else 's'}"


def time_left(end: datetime, now: datetime) -> str:
    """Return ``2 minutes left``, or ``ended 15 seconds ago``."""
    return f"{duration(end - now)} left" if end > now else f"ended {duration(now - end)} ago"


def short_duration(length: timedelta) -> str:
    """Return a length of time in few characters: ``59 d``, ``3 h``, ``12 min``, ``40 s``.

    Days are whole days, from two on; what is shorter is rounded.
    """
    seconds = max(0.0, length.total_seconds())
    if seconds < MINUTE - 0.5:
        return f"{round(seconds)} s"
    if round(seconds / MINUTE) < MINUTE:
        return f"{round(seconds / MINUTE)} min"
    if seconds < NEAR.total_seconds():
        return f"{round(seconds / HOUR)} h"
    return f"{int(seconds // DAY)} d"


def calendar_day(moment: datetime, now: datetime) -> str:
    """Return ``27 Jan``, the day in UTC, with the year if it is more than 11 months from now."""
    moment = moment.astimezone(UTC)
    year = f" {moment.year}" if abs(moment - now) > timedelta(days=335) else ""
    return f"{moment.day} {MONTHS[moment.month - 1]}{year}"


def ahead(moment: datetime, now: datetime, *, exact: bool = False) -> str:
    """Return when something will be: ``in 59 d, 27 Jan``, ``in 3 h``, or ``now`` if it is past.

    Args:
        moment: The time, aware.
        now: The current time.
        exact: Add the instant, not only the day of what is further away.
    """
    left = moment - now
    if left <= timedelta(0):
        return "now"
    return f"in {short_duration(left)}{_date(moment, now, left, exact=exact)}"


def ago(moment: datetime, now: datetime, *, exact: bool = False) -> str:
    """Return when something was: ``3 h ago``, ``59 d ago, 30 Sep``; never a negative age.

    A moment later than ``now`` means that the clock was set back: only its own time is known.
    """
    age = now - moment
    if age < -SKEW:
        return f"at {instant(moment)}, later than this machine's clock"
    words = "just now" if age < timedelta(seconds=1) else f"{short_duration(age)} ago"
    return f"{words}{_date(moment, now, age, exact=exact)}"


def _date(moment: datetime, now: datetime, distance: timedelta, *, exact: bool) -> str:
    if exact:
        return f", {instant(moment)}"
    return f", {calendar_day(moment, now)}" if distance >= NEAR else ""
