from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gatecert.time_format import day, instant, time_left

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (timedelta(days=60, hours=5), "60 days left"),
        (timedelta(days=1), "1 day left"),
        (timedelta(hours=23, minutes=59), "23 hours left"),
        (timedelta(minutes=2, seconds=30), "2 minutes left"),
        (timedelta(seconds=59), "59 seconds left"),
        (timedelta(0), "ended 0 seconds ago"),
        (-timedelta(seconds=15), "ended 15 seconds ago"),
        (-timedelta(seconds=1), "ended 1 second ago"),
        (-timedelta(minutes=1), "ended 1 minute ago"),
        (-timedelta(days=2), "ended 2 days ago"),
    ],
)
def test_time_left(ahead: timedelta, words: str) -> None:
    assert time_left(NOW + ahead, NOW) == words


def test_instants_and_days_are_in_utc() -> None:
    east = datetime(2026, 11, 24, 1, 15, 9, tzinfo=timezone(timedelta(hours=8)))
    assert instant(east) == "2026-11-23 17:15:09 UTC"
    assert day(east) == "2026-11-23"
