from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.clock import NOW

from gatecert.schedule.spread import SHORTEST_SPREAD, next_instant

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
instants = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants bounds without a zone
intervals = st.timedeltas(SECOND, timedelta(days=30))


@given(name=st.text(min_size=1, max_size=9), after=instants, interval=intervals)
def test_the_next_look_comes_within_the_interval(
    name: str, after: datetime, interval: timedelta
) -> None:
    assert after < next_instant(name, after, interval) <= after + interval


@given(after=instants, interval=st.timedeltas(SHORTEST_SPREAD, timedelta(days=30)))
def test_looks_are_an_interval_apart_whatever_was_between(
    after: datetime, interval: timedelta
) -> None:
    first = next_instant("vpn", after, interval)
    second = next_instant("vpn", first, interval)
    assert second - first == interval
    assert next_instant("vpn", first + interval / 3, interval) == second


@given(after=instants, short=st.integers(1, 90), times=st.integers(1, 90))
def test_a_look_at_a_multiple_of_an_interval_shares_its_instants(
    after: datetime, short: int, times: int
) -> None:
    at = next_instant("vpn", after, short * times * MINUTE)
    assert next_instant("vpn", at - SECOND, short * MINUTE) == at


@pytest.mark.parametrize("interval", [SECOND, 59 * SECOND])
def test_a_short_interval_is_exact(interval: timedelta) -> None:
    assert next_instant("vpn", NOW, interval) == NOW + interval


@pytest.mark.parametrize("interval", [MINUTE, 5 * MINUTE, HOUR, 24 * HOUR])
def test_a_fleet_is_spread_evenly_over_the_interval(interval: timedelta) -> None:
    names = [f"edge-{number}" for number in range(10_000)]
    tenths = Counter(
        int((next_instant(name, NOW, interval) - NOW) / interval * 10) for name in names
    )
    assert set(tenths) <= set(range(11))
    assert min(tenths[tenth] for tenth in range(10)) > 850
    assert max(tenths.values()) < 1150
