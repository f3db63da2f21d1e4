"""The index against a list of all requests, over random histories."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatecert.model import CountedRequest, RequestKind, UsageChange
from gatecert.store.usage_index import UsageIndex, with_mark

if TYPE_CHECKING:
    from collections.abc import Hashable

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
SECOND = timedelta(seconds=1)
CERTIFICATE = CountedRequest(RequestKind.CERTIFICATE, NOW, names=("a",))


def by_account(request: CountedRequest) -> tuple[str]:
    return (request.account,)


def by_each_name(request: CountedRequest) -> frozenset[str]:
    return frozenset(request.names)


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

    def instants(
        self, kind: RequestKind, group: Hashable, since: datetime, now: datetime
    ) -> list[datetime]:
        marked = [
            with_mark(each, now)
            for each in self.requests
            if each.kind is kind and group in (*by_account(each), *by_each_name(each))
        ]
        return sorted(at for each in marked if (at := each.noticed or each.at) > since)


instants = st.integers(0, 40).map(lambda seconds: NOW + seconds * SECOND)
names = st.lists(st.sampled_from("abc"), max_size=2, unique=True).map(tuple)
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
            index.instants(
                RequestKind.VALIDATION, by_account, "A", since=since, now=now, count=count
            )
        index.apply(change)
        reference.apply(change)
        assert index.requests == tuple(reference.requests)
    assert len(index) == len(reference.requests)
    assert index.latest == max((each.at for each in reference.requests), default=None)
    marked = [with_mark(each, now) for each in reference.requests]
    assert index.needs_review(now) == (marked != reference.requests)
    for kind in (RequestKind.VALIDATION, RequestKind.CERTIFICATE):
        assert index.count(kind) == sum(each.kind is kind for each in reference.requests)
        for grouping, group in ((by_account, "A"), (by_each_name, "a"), (by_each_name, "c")):
            found = index.instants(kind, grouping, group, since=since, now=now, count=count)
            assert found == reference.instants(kind, group, since, now)[-count:]
    for each in reference.requests:
        assert index.find(each) == (each if each.id else None)


@pytest.mark.parametrize("size", [10, 1000])
def test_a_look_up_looks_at_one_group_only(size: int) -> None:
    seen: list[CountedRequest] = []

    def by_name(request: CountedRequest) -> tuple[str, ...]:
        seen.append(request)
        return request.names

    def look_up() -> list[datetime]:
        return index.instants(
            RequestKind.CERTIFICATE, by_name, "a", since=NOW - SECOND, now=NOW, count=5
        )

    others = [replace(CERTIFICATE, names=(str(number),)) for number in range(size)]
    index = UsageIndex([UsageChange(NOW, (*others, CERTIFICATE))])
    look_up()
    assert len(seen) == size + 1
    index.apply(UsageChange(NOW, (replace(CERTIFICATE, id="1"),)))
    assert len(look_up()) == 2
    assert len(seen) == size + 2
