"""A tenth of each limit, kept for urgent orders; and a fleet that is halted."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatecert.model import Limits, RateLimit
from gatecert.model.fleet import (
    ENDS_SOON,
    FleetHalt,
    Priority,
    free_turns,
    usable,
    usable_limits,
)

URGENT = (Priority.REVOKED, Priority.ENDING)
ORDINARY = (Priority.NONE, Priority.RENEWAL)
priorities = st.sampled_from(Priority)
LIMITS = {field.name for field in fields(Limits)} - {"most_orders"}  # see free_turns


@pytest.mark.parametrize(
    ("count", "left"), [(300, 270), (50, 45), (20, 18), (11, 9), (10, 9), (5, 4), (2, 1), (1, 1)]
)
def test_a_tenth_of_a_limit_is_kept_for_urgent_orders(count: int, left: int) -> None:
    assert {usable(count, priority) for priority in ORDINARY} == {left}
    assert {usable(count, priority) for priority in URGENT} == {count}


@given(count=st.integers(1, 10**6), priority=priorities)
def test_every_priority_may_use_something_and_none_more_than_there_is(
    count: int, priority: Priority
) -> None:
    assert 1 <= usable(count, priority) <= count
    kept = count - usable(count, priority)
    assert kept == 0 if priority.is_urgent or count == 1 else 10 * kept >= count


@given(count=st.integers(1, 10**6), more=st.integers(0, 10**6))
def test_a_greater_limit_never_leaves_less(count: int, more: int) -> None:
    assert usable(count, Priority.RENEWAL) <= usable(count + more, Priority.RENEWAL)


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_each_limit_of_a_ca_is_lowered_and_its_period_kept(name: str) -> None:
    limited: dict[str, Any] = {name: RateLimit(50, timedelta(days=7))}
    limits = Limits(**limited, most_orders=20)
    assert usable_limits(limits, Priority.ENDING) == limits
    lowered = usable_limits(limits, Priority.RENEWAL)
    assert getattr(lowered, name) == RateLimit(45, timedelta(days=7))
    assert lowered.most_orders == 20
    assert {other for other in LIMITS if getattr(lowered, other) is None} == LIMITS - {name}


@given(most=st.integers(1, 1000), in_progress=st.integers(0, 2000))
def test_ordinary_orders_never_take_the_last_turns(most: int, in_progress: int) -> None:
    ordinary = free_turns(most, in_progress, Priority.NONE)
    urgent = free_turns(most, in_progress, Priority.REVOKED)
    assert urgent == max(0, most - in_progress)
    assert 0 <= ordinary <= urgent
    assert in_progress + ordinary <= max(usable(most, Priority.NONE), in_progress)


def test_with_eighteen_of_twenty_in_progress_only_urgent_orders_start() -> None:
    assert free_turns(20, 18, Priority.RENEWAL) == 0
    assert free_turns(20, 18, Priority.ENDING) == 2


NOW = datetime(2026, 11, 30, tzinfo=UTC)
PAUSED = FleetHalt(paused_since=NOW - timedelta(hours=1))
BRAKED = FleetHalt(brake_since=NOW - timedelta(hours=2), brake_reason="3 of 40 rolled back")


@pytest.mark.parametrize("halt", [PAUSED, BRAKED])
def test_a_halted_fleet_goes_on_only_with_what_ends_within_a_day(halt: FleetHalt) -> None:
    assert halt.stops(NOW + ENDS_SOON + timedelta(seconds=1), NOW)
    assert halt.stops(None, NOW)
    assert not halt.stops(NOW + ENDS_SOON, NOW)
    assert not halt.stops(NOW - timedelta(days=1), NOW)


def test_a_fleet_is_halted_from_the_first_of_both_reasons_on() -> None:
    both = FleetHalt(PAUSED.paused_since, BRAKED.brake_since, BRAKED.brake_reason)
    assert both.since == BRAKED.brake_since
    assert FleetHalt().since is None
    assert not FleetHalt().stops(None, NOW)


def test_a_halted_fleet_says_why_as_well() -> None:
    halt = FleetHalt(NOW, NOW, "3 of 40 rolled back", "new firewall")
    at = "2026-11-30 00:00:00 UTC"
    assert halt.words == (
        f"the fleet has been paused since {at}: new firewall; "
        f"the fleet's brake has been on since {at}: 3 of 40 rolled back"
    )
    assert PAUSED.words == "the fleet has been paused since 2026-11-29 23:00:00 UTC"
    assert not FleetHalt().words
