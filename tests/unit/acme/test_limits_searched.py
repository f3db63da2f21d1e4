"""The rate limits against an implementation that searches all requests, over random histories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.acme_server import DIRECTORY_URL
from tests.fakes.acme_stores import Usage

from gatecert.acme.rate_limits import remaining_allowances
from gatecert.model import IN_TRANSIT, CountedRequest, Expenses, Limits, RateLimit, RequestKind
from gatecert.store.request_groups import registered_domain

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
SHORT, LONG = timedelta(minutes=20), timedelta(hours=2)
LIMITS = Limits(
    new_accounts=RateLimit(2, SHORT),
    orders=RateLimit(4, SHORT),
    certificates=RateLimit(3, LONG),
    duplicates=RateLimit(2, LONG),
    replacements=RateLimit(1, SHORT),
    failed_validations=RateLimit(2, SHORT),
)
NAMES = (
    ("a.example.org",),
    ("a.example.org", "b.example.org"),
    ("b.example.org", "a.example.org"),
    ("*.example.org", "a.example.com"),
    ("192.0.2.1",),
)

Counts = Callable[[CountedRequest], bool]


class Searched:
    """A list of requests, as ``rate_limits`` describes it."""

    def __init__(self) -> None:
        self.requests: list[CountedRequest] = []

    def notice(self, now: datetime) -> None:
        self.requests = [self._noticed(each, now) for each in self.requests]

    def record(self, wanted: list[CountedRequest], now: datetime, validated: str) -> None:
        self.notice(now)
        latest = max((each.at for each in self.requests), default=now)
        for each in wanted:
            again = {(each.kind, each.id)} if each.id else set()
            self.requests = [old for old in self.requests if (old.kind, old.id) not in again]
            self.requests.append(replace(each, at=latest, noticed=now) if latest > now else each)
        self.requests = [
            each
            for each in self.requests
            if not validated
            or each.kind is not RequestKind.VALIDATION
            or not each.id.startswith(f"{validated} ")
        ]

    def has(self, wanted: CountedRequest) -> bool:
        """Tell whether a request with the same id counts."""
        ids = {(each.kind, each.id) for each in self.requests if each.id}
        return (wanted.kind, wanted.id) in ids

    def counted(self, kind: RequestKind, counts: Counts, period: timedelta, now: datetime) -> int:
        begin = now - period - IN_TRANSIT
        noticed = [self._noticed(each, now) for each in self.requests if each.kind is kind]
        return sum(counts(each) and (each.noticed or each.at) > begin for each in noticed)

    def left(self, wanted: CountedRequest, now: datetime) -> list[int]:
        """Return how many more requests each limit allows."""
        found = []
        for limit, counts in self._rules(wanted):
            count = self.counted(wanted.kind, counts, limit.period, now)
            found.append(max(0, limit.count - count))
        return found

    def _rules(self, wanted: CountedRequest) -> list[tuple[RateLimit, Counts]]:
        def same(each: CountedRequest) -> bool:
            return set(each.names) == set(wanted.names)

        def below(domain: str) -> Counts:
            return lambda each: domain in map(registered_domain, each.names)

        match wanted.kind:
            case RequestKind.ACCOUNT:
                return [(RateLimit(2, SHORT), lambda _: True)]
            case RequestKind.ORDER:
                return [(RateLimit(4, SHORT), lambda each: each.account == wanted.account)]
            case RequestKind.REPLACEMENT:
                return [(RateLimit(1, SHORT), same)]
            case RequestKind.VALIDATION:
                mine = (wanted.account, wanted.names)
                return [(RateLimit(2, SHORT), lambda each: (each.account, each.names) == mine)]
        rules: list[tuple[RateLimit, Counts]] = [(RateLimit(2, LONG), same)]
        if sum(each.kind is RequestKind.CERTIFICATE for each in self.requests) >= 3:
            domains = sorted({registered_domain(name) for name in wanted.names})
            rules += [(RateLimit(3, LONG), below(domain)) for domain in domains]
        return rules

    @staticmethod
    def _noticed(request: CountedRequest, now: datetime) -> CountedRequest:
        if request.at <= now:
            return replace(request, noticed=None)
        known = request.noticed
        return replace(request, noticed=min(known, now) if known else now)


wanted_requests = st.builds(
    CountedRequest,
    st.sampled_from(RequestKind),
    st.just(NOW),
    st.sampled_from(("", "1", "1 x", "1 y", "2 x")),
    st.sampled_from(("A", "B")),
    st.sampled_from(NAMES),
)
clocks = st.sampled_from((0, 0, 1, 60, 600, 1500, 9000, -1, -60, -4000)).map(
    lambda seconds: timedelta(seconds=seconds)
)
steps = st.tuples(
    clocks, st.lists(wanted_requests, min_size=1, max_size=2), st.sampled_from(("", "", "1", "2"))
)


@settings(max_examples=200, deadline=None)
@given(st.lists(steps, max_size=25))
def test_limits_answer_as_a_search_through_all_requests(
    history: list[tuple[timedelta, list[CountedRequest], str]],
) -> None:
    usage, searched, now = Usage(), Searched(), NOW
    for passed, templates, validated in history:
        now += passed
        wanted = [replace(each, at=now) for each in templates]
        for each in wanted:
            left = remaining_allowances(usage, DIRECTORY_URL, [each], LIMITS, now)
            assert [rest.count for rest in left] == searched.left(each, now)
        new = [each for each in wanted if not searched.has(each)]
        forbidden = any(0 in searched.left(each, now) for each in new)
        expenses = Expenses(now, tuple(wanted), validated=validated)
        reached = usage.count_requests(DIRECTORY_URL, expenses, LIMITS)
        assert (reached is not None) == forbidden
        if reached is None:
            searched.record(wanted, now, validated)
        else:
            assert now < reached.until <= now + LONG + IN_TRANSIT
            searched.notice(now)
        assert list(usage.counted()) == searched.requests
