"""The timetable: which gateways are due, and when the next one is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatecert.schedule.timetable import Timetable

# The timetable compares with the clock of this machine: one century is always over, one is not.
PAST = datetime(1990, 1, 1, tzinfo=UTC)
FUTURE = datetime(2190, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def timetable() -> Timetable:
    return Timetable()


def test_nothing_is_due_at_first(timetable: Timetable) -> None:
    assert timetable.due() == []
    assert timetable.next_instant() is None
    assert timetable.instant("hq") is None


def test_what_is_due_is_returned_once_and_the_earliest_first(timetable: Timetable) -> None:
    for name, days in (("b", 2), ("a", 3), ("c", 1)):
        timetable.schedule(name, PAST + days * DAY)
    timetable.schedule("later", FUTURE)
    assert timetable.due() == ["c", "b", "a"]
    assert timetable.due() == []
    assert timetable.next_instant() == timetable.instant("later") == FUTURE.timestamp()
    assert timetable.instant("a") is None


def test_what_was_due_may_be_scheduled_again(timetable: Timetable) -> None:
    for _ in range(3):
        timetable.schedule("hq", PAST)
        assert timetable.due() == ["hq"]


def test_a_later_setting_replaces_an_earlier_one(timetable: Timetable) -> None:
    timetable.schedule("hq", PAST)
    timetable.schedule("hq", FUTURE)
    assert timetable.due() == []
    assert timetable.next_instant() == FUTURE.timestamp()
    timetable.schedule("hq", PAST)
    assert timetable.next_instant() == PAST.timestamp()
    assert timetable.due() == ["hq"]
    assert timetable.next_instant() is None


def test_only_the_gateways_of_the_configuration_are_kept(timetable: Timetable) -> None:
    for name in ("a", "b", "c"):
        timetable.schedule(name, PAST)
    timetable.keep(["b", "d"])
    assert timetable.due() == ["b"]
    timetable.keep([])
    assert timetable.next_instant() is None


def test_what_is_overdue_by_years_is_due(timetable: Timetable) -> None:
    timetable.schedule("hq", datetime(1971, 1, 1, tzinfo=UTC))
    assert timetable.due() == ["hq"]


def test_an_instant_within_the_last_years_of_a_datetime_is_kept(timetable: Timetable) -> None:
    last = datetime(9892, 1, 1, tzinfo=UTC)
    timetable.schedule("hq", last)
    assert timetable.next_instant() == last.timestamp()


NAMES = st.sampled_from("abcdef")
INSTANTS = st.integers(-5, 5).map(lambda days: (PAST if days < 0 else FUTURE) + days * DAY)


@given(
    st.lists(
        st.tuples(NAMES, INSTANTS) | st.lists(NAMES, unique=True).map(frozenset) | st.just("due"),
        max_size=12,
    )
)
def test_it_is_a_table_of_one_instant_for_each_gateway(
    events: list[tuple[str, datetime] | frozenset[str] | str],
) -> None:
    timetable, expected = Timetable(), dict[str, datetime]()
    for event in events:
        match event:
            case (str() as name, datetime() as at):
                timetable.schedule(name, at)
                expected[name] = at
            case frozenset():
                timetable.keep(event)
                expected = {name: at for name, at in expected.items() if name in event}
            case _:
                due = {name: at for name, at in expected.items() if at < FUTURE - 10 * DAY}
                found = timetable.due()
                assert sorted(found) == sorted(due)
                assert [due[name] for name in found] == sorted(due.values())
                expected = {name: at for name, at in expected.items() if name not in due}
        instants = {name: at.timestamp() for name, at in expected.items()}
        assert timetable.next_instant() == min(instants.values(), default=None)
        assert {name: timetable.instant(name) for name in instants} == instants
