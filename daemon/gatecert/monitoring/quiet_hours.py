"""Hours of the day in which only critical events are told. Pure.

The hours are those of a clock on the wall: of a night in which the clocks change, they are an hour
longer or shorter.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

HOUR = 60  # minutes


def quiet_until(now: datetime, begin: int, end: int, zone: tzinfo | None = None) -> datetime | None:
    """Return when the quiet hours end; None outside them.

    Args:
        now: The current time, aware.
        begin: Minute of the day, in local time; -1 if no hours are quiet.
        end: Minute of the day; before `begin`, it is one of the next day.
        zone: The time zone; None for this machine's.

    Returns:
        A time in UTC, later than `now`.
    """
    if begin < 0:
        return None
    local = now.astimezone(zone)
    minute = local.hour * HOUR + local.minute
    if begin < end:
        is_quiet, is_tomorrow = begin <= minute < end, False
    else:
        is_quiet, is_tomorrow = minute >= begin or minute < end, minute >= begin
    if not is_quiet:
        return None
    day = local.date() + timedelta(days=is_tomorrow)
    # Without a zone, `astimezone` takes it for this machine's local time.
    naive = datetime(day.year, day.month, day.day, end // HOUR, end % HOUR)  # noqa: DTZ001
    until = naive.replace(tzinfo=zone).astimezone(UTC)
    # An hour that the clock repeats or leaves out: look again in a minute.
    return until if until > now else now.astimezone(UTC) + timedelta(minutes=1)
