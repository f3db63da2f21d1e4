from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gatecert.monitoring.quiet_hours import quiet_until

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = (22 * 60, 7 * 60)
LUNCH = (12 * 60, 13 * 60 + 30)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        (NIGHT, "2026-11-29T21:59", None),
        (NIGHT, "2026-11-29T22:00", "2026-11-30T07:00"),
        (NIGHT, "2026-11-29T23:59", "2026-11-30T07:00"),
        (NIGHT, "2026-11-30T06:59", "2026-11-30T07:00"),
        (NIGHT, "2026-11-30T07:00", None),
        (NIGHT, "2026-12-31T23:00", "2027-01-01T07:00"),
        (LUNCH, "2026-11-29T12:30", "2026-11-29T13:30"),
        (LUNCH, "2026-11-29T13:30", None),
        (LUNCH, "2026-11-29T11:59", None),
        ((-1, -1), "2026-11-29T03:00", None),
    ],
)
def test_hours_end_at_their_time(hours: tuple[int, int], now: str, until: str | None) -> None:
    found = quiet_until(local(now).astimezone(UTC), *hours, BERLIN)
    assert found == (local(until) if until else None)


@pytest.mark.parametrize(("evening", "hours"), [("2026-03-28T22:00", 8), ("2026-10-24T22:00", 10)])
def test_a_night_in_which_the_clocks_change_is_shorter_or_longer(evening: str, hours: int) -> None:
    now = local(evening).astimezone(UTC)
    found = quiet_until(now, *NIGHT, BERLIN)
    assert found is not None
    assert (found - now).total_seconds() == hours * 3600


@pytest.mark.parametrize("minute", range(0, 300, 7))
def test_an_hour_that_is_left_out_or_repeated_never_blocks(minute: int) -> None:
    """The end is always ahead, and reached by asking again."""
    for day in ("2026-03-29T00:00", "2026-10-25T00:00"):
        now = datetime.fromtimestamp(local(day).timestamp() + 60 * minute, UTC)
        for _ in range(200):
            found = quiet_until(now, 30, 150, BERLIN)
            if found is None:
                break
            assert found > now
            now = found
        else:
            pytest.fail("it never ends")


def test_without_a_zone_the_hours_are_those_of_this_machine() -> None:
    now = datetime.now(UTC)
    here = now.astimezone()
    minute = here.hour * 60 + here.minute
    assert quiet_until(now, minute, (minute + 2) % 1440) is not None
    assert quiet_until(now, (minute + 2) % 1440, (minute + 4) % 1440) is None
