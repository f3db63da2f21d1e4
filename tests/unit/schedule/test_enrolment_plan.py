"""Arithmetic of many first certificates within the limits of a CA."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.clock import DAY, HOUR

from gatecert.model import Limits, RateLimit
from gatecert.schedule.enrolment_plan import (
    LONGEST,
    LimitedOrders,
    Orders,
    enrolment_plan,
    first_orders,
    sent,
)

WEEK = 7 * DAY
WEEKLY = RateLimit(50, WEEK)
HOURLY = RateLimit(300, 3 * HOUR)
LETS_ENCRYPT = Limits(certificates=WEEKLY, orders=HOURLY)
RENEW_AFTER = 60 * DAY

limits = st.builds(RateLimit, st.integers(1, 20), st.timedeltas(HOUR, 3 * DAY))
arrivals = st.lists(
    st.tuples(st.timedeltas(timedelta(0), 9 * DAY), st.integers(0, 30)), max_size=9
).map(sorted)
domains = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 60), max_size=6)


def times_of(orders: Orders) -> list[timedelta]:
    return [at for at, number in orders for _ in range(number)]


def test_a_thousand_gateways_below_one_domain_take_twenty_weeks() -> None:
    domain = LimitedOrders("ddns.example", 1_000, WEEKLY)
    assert domain.shortest == 20 * WEEK
    assert domain.time == 23 * WEEK  # 45 a week, since five are kept


def test_a_hundred_thousand_orders_of_an_account_take_42_days() -> None:
    account = LimitedOrders("", 100_000, HOURLY)
    assert 41 * DAY < account.shortest < 42 * DAY
    assert account.time == 371 * 3 * HOUR  # 270 in three hours


@pytest.mark.parametrize(("count", "weeks"), [(0, 0), (1, 1), (50, 1), (51, 2), (100, 2), (101, 3)])
def test_each_part_of_the_orders_takes_a_period(count: int, weeks: int) -> None:
    assert LimitedOrders("ddns.example", count, WEEKLY).shortest == weeks * WEEK


def test_a_limit_keeps_few_certificates_renewed_if_renewals_count() -> None:
    assert LimitedOrders("ddns.example", 1_000, WEEKLY).renewable(RENEW_AFTER) == 428


def test_the_slowest_limit_comes_first() -> None:
    plan = enrolment_plan({"a.example": 60, "b.example": 900}, LETS_ENCRYPT, RENEW_AFTER)
    assert [each.domain for each in plan.limited] == ["b.example", "a.example", ""]
    assert (plan.certificates, plan.renewals_a_day) == (960, 16)


def test_the_last_of_a_thousand_waits_for_22_weeks() -> None:
    plan = enrolment_plan({"ddns.example": 1_000}, LETS_ENCRYPT, RENEW_AFTER)
    assert plan.last == 22 * WEEK


def test_the_busiest_day_has_new_certificates_and_renewals() -> None:
    weekly = Limits(certificates=RateLimit(10, WEEK))
    plan = enrolment_plan({"ddns.example": 90}, weekly, 14 * DAY)
    assert plan.last == 9 * WEEK
    assert (plan.busiest_day, plan.busiest_orders) == (56, 9 * 5)  # new, and four renewals of nine


def test_without_limits_everything_is_ordered_on_the_first_day() -> None:
    plan = enrolment_plan({"a.example": 500, "b.example": 1}, Limits(), RENEW_AFTER)
    assert plan.limited == ()
    assert (plan.last, plan.busiest_day, plan.busiest_orders) == (timedelta(0), 0, 501)


def test_nothing_to_enrol_is_no_error() -> None:
    plan = enrolment_plan({}, LETS_ENCRYPT, RENEW_AFTER)
    assert (plan.certificates, plan.last, plan.busiest_orders) == (0, timedelta(0), 0)


def test_beyond_a_century_no_day_is_named() -> None:
    slow = Limits(certificates=RateLimit(1, 365 * DAY))
    plan = enrolment_plan({"ddns.example": 1_000}, slow, RENEW_AFTER)
    assert plan.last > LONGEST
    assert plan.busiest_day is None


@given(ready=arrivals, limit=limits)
def test_no_period_has_more_orders_than_the_limit_and_none_is_late_without_need(
    ready: Orders, limit: RateLimit
) -> None:
    wanted, times = times_of(ready), times_of(sent(ready, limit))
    assert len(times) == len(wanted)
    for place, (at, possible) in enumerate(zip(times, wanted, strict=True)):
        earliest = [possible, times[place - 1] if place else possible]
        if place >= limit.count:
            earliest.append(times[place - limit.count] + limit.period)
        assert at == max(earliest)


@given(by_domain=domains, certificates=limits, orders=limits)
def test_every_certificate_is_ordered_once_within_both_limits(
    by_domain: dict[str, int], certificates: RateLimit, orders: RateLimit
) -> None:
    both = Limits(certificates=certificates, orders=orders)
    times = times_of(first_orders(by_domain, both))
    assert len(times) == sum(by_domain.values())
    assert times == sorted(times)
    for at in times:
        assert sum(at <= other < at + orders.period for other in times) <= orders.count
    alone = times_of(first_orders(by_domain, Limits(certificates=certificates)))
    assert all(at >= possible for at, possible in zip(times, alone, strict=True))


@given(by_domain=domains, certificates=limits)
def test_domains_do_not_wait_for_each_other(
    by_domain: dict[str, int], certificates: RateLimit
) -> None:
    alone = Limits(certificates=certificates)
    together = Counter(times_of(first_orders(by_domain, alone)))
    apart: Counter[timedelta] = Counter()
    for domain, count in by_domain.items():
        apart.update(times_of(first_orders({domain: count}, alone)))
    assert together == apart


@given(by_domain=domains, limit=limits)
def test_all_are_enrolled_within_the_time_of_the_slowest_limit(
    by_domain: dict[str, int], limit: RateLimit
) -> None:
    plan = enrolment_plan(by_domain, Limits(certificates=limit), RENEW_AFTER)
    assert plan.last <= max((each.time for each in plan.limited), default=timedelta(0))
    assert all(each.shortest <= each.time for each in plan.limited)
