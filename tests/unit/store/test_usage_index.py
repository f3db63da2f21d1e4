"""The index against a list of all requests, over random histories."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatecert.model import (
    CountedBy,
    CountedRequest,
    Expenses,
    RequestGroup,
    RequestKind,
    UsageChange,
)
from gatecert.store.counting_rules import with_mark
from gatecert.store.request_groups import groups_of, registered_domain
from gatecert.store.usage_index import UsageIndex

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
SECOND = timedelta(seconds=1)
CERTIFICATE = CountedRequest(RequestKind.CERTIFICATE, NOW, names=("a.x",))
GROUPS = [
    RequestGroup(kind, by, value)
    for kind in (RequestKind.VALIDATION, RequestKind.CERTIFICATE)
    for by, value in (
        (CountedBy.ALL, ""),
        (CountedBy.ACCOUNT, "A"),
        (CountedBy.ACCOUNT_AND_NAMES, "A a.x"),
        (CountedBy.NAMES, "a.x b.x"),
        (CountedBy.NAMES, ""),
        (CountedBy.REGISTERED_DOMAIN, "b.x"),
        (CountedBy.REGISTERED_DOMAIN, "c.y"),
    )
]


class Reference:
    """A list of all requests, searched whole for each answer."""

    def __init__(self) -> None:
        self.requests: list[CountedRequest] = []

    def apply(self, change: UsageChange) -> None:
        if change.clock is not None:
            self.requests = [with_mark(each, change.clock) for each in self.requests]
        for request in change.counted:
            self.requests = [
                each
                for each in self.requests
                if not request.id or (each.kind, each.id) != (request.kind, request.id)
            ]
            self.requests.append(request)
        if change.validated:
            self.requests = [
                each
                for each in self.requests
                if each.kind is not RequestKind.VALIDATION
                or not each.id.startswith(f"{change.validated} ")
            ]

    def instants(self, group: RequestGroup, since: datetime, now: datetime) -> list[datetime]:
        marked = [
            with_mark(each, now)
            for each in self.requests
            if each.kind is group.kind and group.value in groups_of(each, group.by)
        ]
        return sorted(at for each in marked if (at := each.noticed or each.at) > since)


instants = st.integers(0, 40).map(lambda seconds: NOW + seconds * SECOND)
names = st.lists(st.sampled_from(("a.x", "b.x", "c.y")), max_size=2, unique=True).map(tuple)
requests = st.builds(
    CountedRequest,
    st.sampled_from((RequestKind.VALIDATION, RequestKind.CERTIFICATE)),
    instants,
    st.sampled_from(("", "1 a", "1 b", "2 a", "2")),
    st.sampled_from(("A", "B")),
    names,
    st.none() | instants,
)
changes = st.builds(
    UsageChange,
    st.none() | instants,
    st.lists(requests, max_size=3).map(tuple),
    st.sampled_from(("", "", "1", "2")),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(changes, max_size=12), instants, st.integers(1, 5), st.integers(0, 12))
def test_the_index_answers_as_a_search_through_everything(
    history: list[UsageChange], now: datetime, count: int, built_after: int
) -> None:
    index, reference = UsageIndex(), Reference()
    since = now - 15 * SECOND
    for number, change in enumerate(history):
        if number == built_after:  # indexes by group exist from here on
            for group in GROUPS:
                index.instants(group, since=since, now=now, count=count)
        index.apply(change)
        reference.apply(change)
        assert index.requests == tuple(reference.requests)
    assert len(index) == len(reference.requests)
    assert index.latest == max((each.at for each in reference.requests), default=None)
    marked = [with_mark(each, now) for each in reference.requests]
    assert index.change_for(Expenses(now)) == (
        UsageChange(now) if marked != reference.requests else None
    )
    for kind in (RequestKind.VALIDATION, RequestKind.CERTIFICATE):
        assert index.number(kind) == sum(each.kind is kind for each in reference.requests)
    for group in GROUPS:
        expected = reference.instants(group, since, now)
        found = index.instants(group, since=since, now=now, count=count)
        assert found == expected[-count:]
    for each in reference.requests:
        assert index.find(each) == (each if each.id else None)
        assert index.is_counted(each) == bool(each.id)


@settings(max_examples=300, deadline=None)
@given(st.lists(changes, max_size=12), instants, st.integers(1, 5), st.sampled_from(CountedBy))
def test_the_busiest_groups_are_those_of_a_search_through_everything(
    history: list[UsageChange], now: datetime, full: int, by: CountedBy
) -> None:
    index, reference = UsageIndex(history), Reference()
    for change in history:
        reference.apply(change)
    kind, since = RequestKind.CERTIFICATE, now - 15 * SECOND
    members = [each for each in reference.requests if each.kind is kind]
    assert index.number(kind) == len(members)
    few = by is CountedBy.REGISTERED_DOMAIN and 2 * len(members) < full
    by = CountedBy.ALL if few else by  # as the interface allows
    values = {value for each in members for value in groups_of(each, by)}
    groups = (RequestGroup(kind, by, value) for value in values)
    expected = [len(reference.instants(group, since, now)) for group in groups]
    spent = [used for used in expected if used >= full]
    most = max((used for used in expected if used < full), default=0)
    found = index.busiest_groups(kind, by, since=since, now=now, full=full)
    assert sorted(each.used for each in found) == sorted([*spent, most])
    for each in found:
        named = [request for request in members if request.names == each.names]
        assert named or each.used == 0


@pytest.mark.parametrize("size", [10, 1000])
def test_a_look_up_looks_at_one_group_only(size: int) -> None:
    group = RequestGroup(RequestKind.CERTIFICATE, CountedBy.REGISTERED_DOMAIN, "a.x")

    def look_up() -> list[datetime]:
        return index.instants(group, since=NOW - SECOND, now=NOW, count=5)

    def looked_at() -> int:
        known = registered_domain.cache_info()
        return known.hits + known.misses

    others = [replace(CERTIFICATE, names=(f"{number}.y",)) for number in range(size)]
    index = UsageIndex([UsageChange(NOW, (*others, CERTIFICATE))])
    before = looked_at()
    look_up()
    assert looked_at() == before + size + 1
    index.apply(UsageChange(NOW, (replace(CERTIFICATE, id="1"),)))
    assert len(look_up()) == 2
    assert looked_at() == before + size + 2
