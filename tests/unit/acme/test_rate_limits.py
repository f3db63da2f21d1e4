from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from gatecert.acme.rate_limits import (
    IN_TRANSIT,
    MIN_KEPT_REQUESTS,
    REPLACEMENTS,
    for_lifetime,
    record_requests,
    registered_domain,
    remaining_allowances,
    required_wait,
    with_future_noticed,
    without_stale,
)
from gatecert.config.schema.rate_limit_settings import LimitSettings
from gatecert.model import CountedRequest, Limits, RateLimit, RequestKind, UsageChange
from gatecert.store.usage_index import UsageIndex

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
USUAL = Limits(**dict(LimitSettings()), replacements=REPLACEMENTS)
VALIDATION = CountedRequest(RequestKind.VALIDATION, NOW, account="a", names=("vpn.example.com",))
CERTIFICATE = CountedRequest(RequestKind.CERTIFICATE, NOW, names=("vpn.example.com",))


def usage(*requests: CountedRequest) -> UsageIndex:
    return UsageIndex([UsageChange(counted=requests)])


def apply(past: UsageIndex, change: UsageChange | None) -> UsageIndex:
    """Make a change, as the store does, and return the same index."""
    if change is not None:
        past.apply(change)
    return past


def repeated(request: CountedRequest, times: int, every: timedelta = MINUTE) -> UsageIndex:
    return usage(*(replace(request, at=NOW - number * every) for number in range(times)))


def test_nothing_waits_without_usage() -> None:
    everything = [replace(CERTIFICATE, kind=kind) for kind in RequestKind]
    assert required_wait(UsageIndex(), everything, USUAL, NOW) is None


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
    assert required_wait(repeated(request, count - 1, SECOND), [request], USUAL, NOW) is None
    full = repeated(request, count, SECOND)
    wait = required_wait(full, [request], USUAL, NOW)
    assert wait is not None
    assert wait.until == min(each.at for each in full.requests) + period + IN_TRANSIT
    assert required_wait(full, [request], USUAL, wait.until) is None
    assert required_wait(full, [request], USUAL, wait.until - SECOND) is not None
    assert required_wait(full, [request], Limits(), NOW) is None


def test_usage_beyond_a_limit_waits_until_enough_has_expired() -> None:
    lowered = replace(USUAL, failed_validations=RateLimit(2, HOUR))
    wait = required_wait(repeated(VALIDATION, 5, MINUTE), [VALIDATION], lowered, NOW)
    assert wait is not None
    assert wait.until == NOW - MINUTE + HOUR + IN_TRANSIT
    assert wait.reason == "failed validations of vpn.example.com: 2 in 1 hour"


@pytest.mark.parametrize("other", [{"account": "b"}, {"names": ("www.example.com",)}])
def test_names_and_accounts_are_limited_separately(other: dict[str, object]) -> None:
    different = replace(VALIDATION, **other)  # type: ignore[arg-type] # names of fields
    assert required_wait(repeated(VALIDATION, 5), [different], USUAL, NOW) is None


def test_the_longest_wait_counts() -> None:
    past = usage(*repeated(VALIDATION, 5).requests, *repeated(CERTIFICATE, 5).requests)
    wait = required_wait(past, [VALIDATION, CERTIFICATE], USUAL, NOW)
    assert wait is not None
    assert wait.until == NOW - 4 * MINUTE + WEEK + IN_TRANSIT


def test_certificates_are_counted_per_registered_domain() -> None:
    names = [f"{number}.ddns.example.org" for number in range(50)]
    past = usage(*(replace(CERTIFICATE, names=(name,)) for name in names))
    wanted = replace(CERTIFICATE, names=("*.new.example.org", "vpn.example.com"))
    wait = required_wait(past, [wanted], USUAL, NOW)
    assert wait is not None
    assert wait.reason == "certificates below example.org: 50 in 7 days"
    assert required_wait(past, [CERTIFICATE], USUAL, NOW) is None


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("a.b.example.co.uk", "example.co.uk"),
        ("*.example.com", "example.com"),
        ("me.github.io", "me.github.io"),
        ("co.uk", "co.uk"),
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
    ],
)
def test_registered_domains(name: str, domain: str) -> None:
    assert registered_domain(name) == domain


def test_a_retry_counts_once_from_the_last_time_on() -> None:
    request = replace(VALIDATION, id="order/1 vpn.example.com")
    again = replace(request, at=NOW + HOUR)
    past = UsageIndex()
    apply(past, record_requests(past, [request, CERTIFICATE], NOW))
    apply(past, record_requests(past, [again], NOW + HOUR))
    assert past.requests == (CERTIFICATE, again)
    full = usage(*repeated(VALIDATION, 4).requests, request)
    assert required_wait(full, [VALIDATION], USUAL, NOW) is not None
    assert required_wait(full, [request], USUAL, NOW) is None


def test_successful_validations_are_removed() -> None:
    mine = replace(VALIDATION, id="order/1 vpn.example.com")
    other = replace(VALIDATION, id="order/11 vpn.example.com")
    certificate = replace(CERTIFICATE, id="order/1")
    past = usage(mine, other)
    change = record_requests(past, [certificate], NOW, validated="order/1")
    assert apply(past, change).requests == (other, certificate)


def test_a_clock_set_back_frees_nothing_and_blocks_nothing_forever() -> None:
    past = repeated(VALIDATION, 5)
    earlier = NOW - 1000 * DAY
    wait = required_wait(past, [VALIDATION], USUAL, earlier)
    assert wait is not None
    assert wait.until == earlier + HOUR + IN_TRANSIT
    kept = apply(past, with_future_noticed(past, earlier))
    assert required_wait(kept, [VALIDATION], USUAL, wait.until - SECOND) is not None
    assert required_wait(kept, [VALIDATION], USUAL, wait.until) is None
    assert with_future_noticed(kept, earlier + MINUTE) is None


def test_a_corrected_clock_frees_nothing() -> None:
    earlier = NOW - 1000 * DAY
    kept = repeated(VALIDATION, 5)
    apply(kept, with_future_noticed(kept, earlier))
    assert required_wait(kept, [VALIDATION], USUAL, NOW + MINUTE) is not None
    meanwhile = repeated(VALIDATION, 1)
    for number in range(4):
        at = earlier + number * MINUTE
        assert required_wait(meanwhile, [VALIDATION], USUAL, at) is None
        apply(meanwhile, record_requests(meanwhile, [replace(VALIDATION, at=at)], at))
    assert required_wait(meanwhile, [VALIDATION], USUAL, earlier + 5 * MINUTE) is not None
    assert required_wait(meanwhile, [VALIDATION], USUAL, NOW + MINUTE) is not None


def test_a_clock_set_back_further_counts_anew() -> None:
    first, second = NOW - 10 * DAY, NOW - 20 * DAY
    kept = repeated(VALIDATION, 5)
    for clock in (first, second):
        apply(kept, with_future_noticed(kept, clock))
    wait = required_wait(kept, [VALIDATION], USUAL, second)
    assert wait is not None
    assert wait.until == second + HOUR + IN_TRANSIT


def test_a_clock_that_ran_ahead_frees_nothing() -> None:
    ahead = repeated(CERTIFICATE, 5)
    apply(ahead, record_requests(ahead, [VALIDATION], NOW + 1000 * DAY))
    needed = without_stale(ahead.requests, USUAL, NOW + 1000 * DAY)
    assert required_wait(usage(*needed), [CERTIFICATE], USUAL, NOW) is not None
    assert required_wait(ahead, [CERTIFICATE], USUAL, NOW) is not None


def test_expired_requests_are_dropped_beyond_the_newest() -> None:
    past = [replace(VALIDATION, at=NOW + n * SECOND) for n in range(MIN_KEPT_REQUESTS + 10)]
    needed = without_stale(past, USUAL, NOW + DAY)
    assert needed == tuple(past[10:])


@pytest.mark.parametrize("later", [timedelta(0), 6 * DAY])
def test_requests_that_a_limit_counts_are_kept(later: timedelta) -> None:
    past = repeated(CERTIFICATE, 5, SECOND)
    now = NOW + later
    others = [
        replace(CERTIFICATE, at=now, id=f"order/{number}", names=(f"vpn.example{number}.com",))
        for number in range(2 * MIN_KEPT_REQUESTS)
    ]
    for begin in range(0, len(others), 500):
        apply(past, record_requests(past, others[begin : begin + 500], now))
    needed = without_stale(past.requests, USUAL, now)
    wait = required_wait(usage(*needed), [replace(CERTIFICATE, at=now)], USUAL, now)
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


@pytest.mark.parametrize(
    ("lifetime", "count"),
    [(None, 5), (timedelta(0), 5), (90 * DAY, 5), (6 * DAY, 5), (DAY, 28), (MINUTE, 40_320)],
)
def test_no_certificate_expires_because_of_a_limit(lifetime: timedelta | None, count: int) -> None:
    allowance = for_lifetime(USUAL.duplicates, lifetime)
    assert allowance == RateLimit(count, WEEK)


def test_a_disabled_limit_stays_disabled() -> None:
    assert for_lifetime(None, DAY) is None


def test_no_period_ever_exceeds_a_limit() -> None:
    """Send requests at random times, with a right clock, for a simulated day."""
    chance = random.Random(7)
    past, now, granted = UsageIndex(), NOW, []
    while now < NOW + DAY:
        if required_wait(past, [VALIDATION], USUAL, now) is None:
            apply(past, record_requests(past, [replace(VALIDATION, at=now)], now))
            granted.append(now)
        now += timedelta(seconds=chance.uniform(1, 600))
    assert len(granted) > 24 * 4
    arrived = [at + IN_TRANSIT * chance.random() for at in granted]
    assert all(later - first >= HOUR for first, later in zip(arrived, arrived[5:], strict=False))
    assert all(first < later for first, later in pairwise(granted))


def test_the_remaining_allowance_of_each_limit() -> None:
    orders = CountedRequest(RequestKind.ORDER, NOW, account="a")
    past = usage(*repeated(VALIDATION, 5).requests, replace(orders, at=NOW - HOUR))
    found = remaining_allowances(past, [orders, CERTIFICATE, VALIDATION], USUAL, NOW)
    assert [(each.what.split()[0], each.count) for each in found] == [
        ("orders", 299),
        ("certificates", 5),
        ("failed", 0),
    ]
    assert found[2].until == NOW - 4 * MINUTE + HOUR + IN_TRANSIT
    assert str(found[0]) == "299 of 300 orders left in 3 hours"
    assert str(found[2]).startswith("no more failed validations of vpn.example.com until 2026-")
    assert remaining_allowances(UsageIndex(), [orders], Limits(), NOW) == ()
