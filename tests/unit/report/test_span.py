from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gatecert.report.span import until

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (timedelta(days=60, hours=5), "60 days left"),
        (timedelta(days=1), "1 day left"),
        (timedelta(hours=23, minutes=59), "23 hours left"),
        (timedelta(minutes=2, seconds=30), "2 minutes left"),
        (timedelta(seconds=59), "59 s left"),
        (timedelta(0), "ended 0 s ago"),
        (-timedelta(seconds=15), "ended 15 s ago"),
        (-timedelta(minutes=1), "ended 1 minute ago"),
        (-timedelta(days=2), "ended 2 days ago"),
    ],
)
def test_how_far_an_end_is_away(ahead: timedelta, words: str) -> None:
    assert until(NOW + ahead, NOW) == words
