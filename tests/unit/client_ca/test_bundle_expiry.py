from __future__ import annotations

import pytest
from tests.fakes.clock import DAY, NOW

from gatecert.client_ca.bundle_expiry import endings
from gatecert.model import ClientCA


def authority(days: float, name: str = "CN=Users") -> ClientCA:
    return ClientCA(name, name, name, NOW - DAY, NOW + days * DAY, is_root=True)


@pytest.mark.parametrize(
    ("days", "threshold", "words"),
    [
        (90, 90, "ends in 90 days, on 2027-02-21 08:15:00 UTC"),
        (30.5, 90, "ends in 30 days"),
        (1.5, 3, "ends in 1 day,"),
        (0.5, 1, "ends in less than a day"),
        (0, 0, "ended on 2026-11-23 08:15:00 UTC: no certificate of its users is accepted"),
        (-5, 0, "ended on"),
    ],
)
def test_what_is_said_and_when(days: float, threshold: int, words: str) -> None:
    (ending,) = endings([authority(days), authority(91, "CN=later")], now=NOW)

    assert ending.days == threshold
    assert ending.words.startswith("the authority 'CN=Users' of user certificates")
    assert words in ending.words
