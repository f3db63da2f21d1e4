from __future__ import annotations

import pytest
from tests.fakes.clock import NOW

from gatecert.http.headers import MAX_RETRY_AFTER, retry_after_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("0", 0.0),
        ("Mon, 23 Nov 2026 08:16:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 08:14:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 08:16:00 -0000", 60.0),
        ("9" * 40, MAX_RETRY_AFTER),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER),
        ("-3", None),
        ("soon", None),
        ("٣", None),
        ("", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after_seconds({"Retry-After": text}, NOW) == seconds


def test_a_date_counts_from_the_date_of_the_response() -> None:
    headers = {
        "Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT",
        "Date": "Wed, 21 Oct 2015 07:28:00 GMT",
    }
    assert retry_after_seconds(headers, NOW) == 30.0


def test_no_retry_after() -> None:
    assert retry_after_seconds({}, NOW) is None
