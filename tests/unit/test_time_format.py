from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gatecert.time_format import ago, ahead, day, instant, short_duration, time_left

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


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(0), "0 s"),
        (-timedelta(days=1), "0 s"),
        (timedelta(seconds=59.4), "59 s"),
        (timedelta(seconds=59.6), "1 min"),
        (timedelta(minutes=59), "59 min"),
        (timedelta(minutes=59, seconds=40), "1 h"),
        (timedelta(hours=1, minutes=59), "2 h"),
        (timedelta(hours=47), "47 h"),
        (timedelta(days=2), "2 d"),
        (timedelta(days=59, hours=23), "59 d"),
    ],
)
def test_short_durations(length: timedelta, words: str) -> None:
    assert short_duration(length) == words


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(days=65), "in 65 d, 27 Jan"),
        (timedelta(days=400), "in 400 d, 28 Dec 2027"),
        (timedelta(hours=30), "in 30 h"),
        (timedelta(minutes=2), "in 2 min"),
        (timedelta(0), "now"),
        (-timedelta(days=3), "now"),
    ],
)
def test_times_ahead(left: timedelta, words: str) -> None:
    assert ahead(NOW + left, NOW) == words


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(seconds=0.4), "just now"),
        (-timedelta(seconds=100), "just now"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(days=3), "3 d ago, 20 Nov"),
        (-timedelta(days=3), "at 2026-11-26 12:00:00 UTC, later than this machine's clock"),
    ],
)
def test_ages_are_never_negative(age: timedelta, words: str) -> None:
    assert ago(NOW - age, NOW) == words
