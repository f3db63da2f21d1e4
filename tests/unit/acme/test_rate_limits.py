from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.fakes.acme_server import DIRECTORY_URL
from tests.fakes.acme_stores import Usage
from tests.fakes.clock import DAY, HOUR, MINUTE, NOW

from gatecert.acme.rate_limits import REPLACEMENTS, for_lifetime, remaining_allowances
from gatecert.config.schema.rate_limit_settings import LimitSettings
from gatecert.model import IN_TRANSIT, CountedRequest, Expenses, Limits, RateLimit, RequestKind

WEEK = 7 * DAY
USUAL = Limits(**dict(LimitSettings()), replacements=REPLACEMENTS)


@pytest.mark.parametrize(
    ("lifetime", "count"),
    [(None, 5), (timedelta(0), 5), (90 * DAY, 5), (6 * DAY, 5), (DAY, 28), (MINUTE, 40_320)],
)
def test_no_certificate_expires_because_of_a_limit(lifetime: timedelta | None, count: int) -> None:
    allowance = for_lifetime(USUAL.duplicates, lifetime)
    assert allowance == RateLimit(count, WEEK)


def test_a_disabled_limit_stays_disabled() -> None:
    assert for_lifetime(None, DAY) is None


def test_the_remaining_allowance_of_each_limit() -> None:
    usage, names = Usage(), ("vpn.example.com",)
    order = CountedRequest(RequestKind.ORDER, NOW, account="a")
    certificate = CountedRequest(RequestKind.CERTIFICATE, NOW, names=names)
    validation = CountedRequest(RequestKind.VALIDATION, NOW, account="a", names=names)
    past = [replace(validation, at=NOW - number * MINUTE) for number in range(5)]
    counted = Expenses(NOW, (*past, replace(order, at=NOW - HOUR)))
    assert usage.count_requests(DIRECTORY_URL, counted, Limits()) is None
    wanted = [order, certificate, validation]
    found = tuple(remaining_allowances(usage, DIRECTORY_URL, wanted, USUAL, NOW))
    assert [(each.what.split()[0], each.count) for each in found] == [
        ("orders", 299),
        ("certificates", 5),
        ("failed", 0),
    ]
    assert found[2].until == NOW - 4 * MINUTE + HOUR + IN_TRANSIT
    assert str(found[0]) == "299 of 300 orders left in 3 hours"
    assert str(found[2]).startswith("no more failed validations of vpn.example.com until 2026-")
    assert list(remaining_allowances(usage, DIRECTORY_URL, [order], Limits(), NOW)) == []
