"""Tests of the rate-limit budget, which uses the CA's clock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from tests.fakes.acme_server import DIRECTORY_URL
from tests.fakes.acme_stores import Usage
from tests.fakes.clock import NOW

from gatecert.acme.budget import Budget
from gatecert.errors import RateLimitBudgetError
from gatecert.model import IN_TRANSIT, Limits, RateLimit

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NAMES = ("vpn.example.com",)


@dataclass
class Clocks:
    """The CA's clock, and this machine's, which is ahead of it."""

    time: datetime = NOW
    ahead: timedelta | None = timedelta(0)
    store: Usage = field(default_factory=Usage)

    def budget(self) -> Budget:
        return Budget(
            store=self.store,
            directory_url=DIRECTORY_URL,
            limits=Limits(failed_validations=RateLimit(1, HOUR)),
            label="acme",
            name="acme",
            now=lambda: self.time + (self.ahead or timedelta(0)),
            ahead=lambda: self.ahead,
        )


@pytest.mark.parametrize("jump", [20 * HOUR, -20 * HOUR, 2 * MINUTE, 1000 * DAY])
def test_setting_the_clock_changes_no_limit(jump: timedelta) -> None:
    clocks = Clocks()
    clocks.budget().validations("order/1", "a", NAMES)
    clocks.time += MINUTE
    clocks.ahead = jump
    with pytest.raises(RateLimitBudgetError) as caught:
        clocks.budget().validations("order/2", "a", NAMES)
    assert caught.value.until == NOW + HOUR + IN_TRANSIT + jump
    clocks.time = NOW + HOUR + IN_TRANSIT
    clocks.budget().validations("order/2", "a", NAMES)


def test_remaining_allowances_are_given_in_local_time() -> None:
    clocks = Clocks(ahead=DAY)
    clocks.budget().validations("order/1", "a", NAMES)
    (left,) = clocks.budget().remaining_allowances("a", NAMES)
    assert (left.count, left.until) == (0, NOW + HOUR + IN_TRANSIT + DAY)
    clocks.time += 2 * HOUR
    (left,) = clocks.budget().remaining_allowances("a", NAMES)
    assert (left.count, left.until) == (1, None)


def test_without_the_ca_s_time_the_local_clock_counts() -> None:
    clocks = Clocks(ahead=None)
    clocks.budget().validations("order/1", "a", NAMES)
    assert [request.at for request in clocks.store.counted()] == [NOW]


def test_a_sixth_duplicate_in_a_week_is_refused_after_many_other_requests() -> None:
    clocks = Clocks()
    limits = Limits(certificates=RateLimit(50, 7 * DAY), duplicates=RateLimit(5, 7 * DAY))
    for number in range(5):
        replace(clocks.budget(), limits=limits).certificate(f"order/{number}", NAMES)
    clocks.time += DAY
    for number in range(1100):
        names = (f"vpn.example-{number}.com",)
        replace(clocks.budget(), limits=limits).certificate(f"other/{number}", names)
    with pytest.raises(RateLimitBudgetError, match=r"certificates for vpn\.example\.com"):
        replace(clocks.budget(), limits=limits).certificate("order/6", NAMES)
    clocks.time = NOW + 7 * DAY + IN_TRANSIT
    replace(clocks.budget(), limits=limits).certificate("order/6", NAMES)
