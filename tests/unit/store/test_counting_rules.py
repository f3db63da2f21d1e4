from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from gatecert.acme.rate_limits import REPLACEMENTS
from gatecert.config.schema.rate_limit_settings import LimitSettings
from gatecert.model import (
    IN_TRANSIT,
    CountedRequest,
    Expenses,
    LimitReached,
    Limits,
    RateLimit,
    RequestKind,
    UsageChange,
)
from gatecert.store.counting_rules import (
    LIMITED,
    MIN_KEPT_REQUESTS,
    group_limits,
    limit_reached,
    without_stale,
)
from gatecert.store.request_groups import registered_domain
from gatecert.store.usage_index import UsageIndex

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
USUAL = Limits(**dict(LimitSettings()), replacements=REPLACEMENTS)
VALIDATION = CountedRequest(RequestKind.VALIDATION, NOW, account="a", names=("vpn.example.com",))
CERTIFICATE = CountedRequest(RequestKind.CERTIFICATE, NOW, names=("vpn.example.com",))


def usage(*requests: CountedRequest) -> UsageIndex:
    return UsageIndex([UsageChange(counted=requests)])


def wait_for(
    past: UsageIndex, wanted: list[CountedRequest], limits: Limits, now: datetime
) -> LimitReached | None:
    return limit_reached(past, Expenses(now, tuple(wanted)), limits)


def record(
    past: UsageIndex, wanted: list[CountedRequest], now: datetime, validated: str = ""
) -> UsageIndex:
    """Make the change that counts requests, as the store does, and return the same index."""
    change = past.change_for(Expenses(now, tuple(wanted), validated=validated))
    if change is not None:
        past.apply(change)
    return past


def repeated(request: CountedRequest, times: int, every: timedelta = MINUTE) -> UsageIndex:
    return usage(*(replace(request, at=NOW - number * every) for number in range(times)))


def test_nothing_waits_without_usage() -> None:
    everything = [replace(CERTIFICATE, kind=kind) for kind in RequestKind]
    assert wait_for(UsageIndex(), everything, USUAL, NOW) is None


@pytest.mark.parametrize(
    ("kind", "count", "period"),
    [
        (RequestKind.ACCOUNT, 10, 3 * HOUR),
        (RequestKind.ORDER, 300, 3 * HOUR),
        (RequestKind.CERTIFICATE, 5, WEEK),
        (RequestKind.REPLACEMENT, 5, DAY),
        (RequestKind.VALIDATION, 5, HOUR),
    ],
)
def test_the_default_limits_are_lets_encrypt_s(
    kind: RequestKind, count: int, period: timedelta
) -> None:
    request = replace(VALIDATION, kind=kind)
    assert wait_for(repeated(request, count - 1, SECOND), [request], USUAL, NOW) is None
    full = repeated(request, count, SECOND)
    wait = wait_for(full, [request], USUAL, NOW)
    assert wait is not None
    assert wait.until == min(each.at for each in full.requests) + period + IN_TRANSIT
    assert wait_for(full, [request], USUAL, wait.until) is None
    assert wait_for(full, [request], USUAL, wait.until - SECOND) is not None
    assert wait_for(full, [request], Limits(), NOW) is None


def test_usage_beyond_a_limit_waits_until_enough_has_expired() -> None:
    lowered = replace(USUAL, failed_validations=RateLimit(2, HOUR))
    wait = wait_for(repeated(VALIDATION, 5, MINUTE), [VALIDATION], lowered, NOW)
    assert wait is not None
    assert wait.until == NOW - MINUTE + HOUR + IN_TRANSIT
    assert wait.reason == "failed validations of vpn.example.com: 2 in 1 hour"


@pytest.mark.parametrize("other", [{"account": "b"}, {"names": ("www.example.com",)}])
def test_names_and_accounts_are_limited_separately(other: dict[str, object]) -> None:
    different = replace(VALIDATION, **other)  # type: ignore[arg-type] # names of fields
    assert wait_for(repeated(VALIDATION, 5), [different], USUAL, NOW) is None


def test_the_longest_wait_counts() -> None:
    past = usage(*repeated(VALIDATION, 5).requests, *repeated(CERTIFICATE, 5).requests)
    wait = wait_for(past, [VALIDATION, CERTIFICATE], USUAL, NOW)
    assert wait is not None
    assert wait.until == NOW - 4 * MINUTE + WEEK + IN_TRANSIT


def test_certificates_are_counted_per_registered_domain() -> None:
    names = [f"{number}.ddns.example.org" for number in range(50)]
    past = usage(*(replace(CERTIFICATE, names=(name,)) for name in names))
    wanted = replace(CERTIFICATE, names=("*.new.example.org", "vpn.example.com"))
    wait = wait_for(past, [wanted], USUAL, NOW)
    assert wait is not None
    assert wait.reason == "certificates below example.org: 50 in 7 days"
    assert wait_for(past, [CERTIFICATE], USUAL, NOW) is None


def test_a_retry_counts_once_from_the_last_time_on() -> None:
    request = replace(VALIDATION, id="order/1 vpn.example.com")
    again = replace(request, at=NOW + HOUR)
    past = UsageIndex()
    record(past, [request, CERTIFICATE], NOW)
    record(past, [again], NOW + HOUR)
    assert past.requests == (CERTIFICATE, again)
    full = usage(*repeated(VALIDATION, 4).requests, request)
    assert wait_for(full, [VALIDATION], USUAL, NOW) is not None
    assert wait_for(full, [request], USUAL, NOW) is None


def test_successful_validations_are_removed() -> None:
    mine = replace(VALIDATION, id="order/1 vpn.example.com")
    other = replace(VALIDATION, id="order/11 vpn.example.com")
    certificate = replace(CERTIFICATE, id="order/1")
    past = usage(mine, other)
    assert record(past, [certificate], NOW, "order/1").requests == (other, certificate)


def test_a_clock_set_back_frees_nothing_and_blocks_nothing_forever() -> None:
    past = repeated(VALIDATION, 5)
    earlier = NOW - 1000 * DAY
    wait = wait_for(past, [VALIDATION], USUAL, earlier)
    assert wait is not None
    assert wait.until == earlier + HOUR + IN_TRANSIT
    kept = record(past, [], earlier)
    assert wait_for(kept, [VALIDATION], USUAL, wait.until - SECOND) is not None
    assert wait_for(kept, [VALIDATION], USUAL, wait.until) is None
    assert kept.change_for(Expenses(earlier + MINUTE)) is None


def test_a_corrected_clock_frees_nothing() -> None:
    earlier = NOW - 1000 * DAY
    kept = repeated(VALIDATION, 5)
    record(kept, [], earlier)
    assert wait_for(kept, [VALIDATION], USUAL, NOW + MINUTE) is not None
    meanwhile = repeated(VALIDATION, 1)
    for number in range(4):
        at = earlier + number * MINUTE
        assert wait_for(meanwhile, [VALIDATION], USUAL, at) is None
        record(meanwhile, [replace(VALIDATION, at=at)], at)
    assert wait_for(meanwhile, [VALIDATION], USUAL, earlier + 5 * MINUTE) is not None
    assert wait_for(meanwhile, [VALIDATION], USUAL, NOW + MINUTE) is not None


def test_a_clock_set_back_further_counts_anew() -> None:
    first, second = NOW - 10 * DAY, NOW - 20 * DAY
    kept = repeated(VALIDATION, 5)
    for clock in (first, second):
        record(kept, [], clock)
    wait = wait_for(kept, [VALIDATION], USUAL, second)
    assert wait is not None
    assert wait.until == second + HOUR + IN_TRANSIT


def test_a_clock_that_ran_ahead_frees_nothing() -> None:
    ahead = repeated(CERTIFICATE, 5)
    record(ahead, [VALIDATION], NOW + 1000 * DAY)
    needed = without_stale(ahead.requests, USUAL, NOW + 1000 * DAY)
    assert wait_for(usage(*needed), [CERTIFICATE], USUAL, NOW) is not None
    assert wait_for(ahead, [CERTIFICATE], USUAL, NOW) is not None


def test_expired_requests_are_dropped_beyond_the_newest() -> None:
    past = [replace(VALIDATION, at=NOW + n * SECOND) for n in range(MIN_KEPT_REQUESTS + 10)]
    needed = without_stale(past, USUAL, NOW + DAY)
    assert needed == tuple(past[10:])


@pytest.mark.parametrize("later", [timedelta(0), 6 * DAY, WEEK + IN_TRANSIT - SECOND * 5])
def test_requests_that_a_limit_counts_are_kept(later: timedelta) -> None:
    past = repeated(CERTIFICATE, 5, SECOND)
    now = NOW + later
    others = [
        replace(CERTIFICATE, at=now, id=f"order/{number}", names=(f"vpn.example{number}.com",))
        for number in range(2 * MIN_KEPT_REQUESTS)
    ]
    for begin in range(0, len(others), 500):
        record(past, others[begin : begin + 500], now)
    needed = without_stale(past.requests, USUAL, now)
    wait = wait_for(usage(*needed), [replace(CERTIFICATE, at=now)], USUAL, now)
    assert wait is not None
    assert wait.reason == "certificates for vpn.example.com: 5 in 7 days"
    assert len(needed) == 5 + 2 * MIN_KEPT_REQUESTS


def test_each_kind_is_kept_for_its_longest_period() -> None:
    limits = replace(USUAL, orders=RateLimit(5, 30 * DAY), new_accounts=None)
    past = [replace(VALIDATION, kind=kind) for kind in RequestKind]
    later = NOW + 8 * DAY
    many = [replace(VALIDATION, at=later, id=str(number)) for number in range(MIN_KEPT_REQUESTS)]
    kept = without_stale([*past, *many], limits, later)
    assert [each.kind for each in kept[:-MIN_KEPT_REQUESTS]] == [RequestKind.ORDER]


def test_no_period_ever_exceeds_a_limit() -> None:
    """Send requests at random times, with a right clock, for a simulated day."""
    chance = random.Random(7)
    past, now, granted = UsageIndex(), NOW, []
    while now < NOW + DAY:
        if wait_for(past, [VALIDATION], USUAL, now) is None:
            record(past, [replace(VALIDATION, at=now)], now)
            granted.append(now)
        now += timedelta(seconds=chance.uniform(1, 600))
    assert len(granted) > 24 * 4
    arrived = [at + IN_TRANSIT * chance.random() for at in granted]
    assert all(later - first >= HOUR for first, later in zip(arrived, arrived[5:], strict=False))
    assert all(first < later for first, later in pairwise(granted))


def test_every_limit_has_a_key() -> None:
    assert {*LIMITED, "most_orders"} == set(Limits.__slots__)


def test_registered_domains_are_looked_at_once_their_limit_can_matter() -> None:
    """The Public Suffix List is slow to load."""

    def looked_at() -> int:
        known = registered_domain.cache_info()
        return known.hits + known.misses

    before = looked_at()
    few, enough = (list(group_limits(CERTIFICATE, USUAL, number)) for number in (49, 50))
    assert [limit.what for limit in few] == ["certificates for vpn.example.com"]
    assert [limit.what for limit in enough] == [few[0].what, "certificates below example.com"]
    assert looked_at() == before + 1
