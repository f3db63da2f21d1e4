"""A model of counted requests: a list, and the rules of limits in the fewest words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final

from tests.fakes.clock import HOUR, NOW

from gatecert.model import (
    CountedBy,
    CountedRequest,
    Limits,
    RateLimit,
    RequestGroup,
    RequestKind,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from gatecert.model import Expenses
    from gatecert.store.protocol import RateLimitUsageStore

URLS: Final = ("https://ca.example/directory", "https://ca.example/another/directory")
ACCOUNTS: Final = ("https://ca.example/account/1", "https://ca.example/account/2")
NAME_SETS: Final = (
    ("vpn.example.com",),
    ("vpn.example.com", "www.example.com"),
    ("vpn.example.org",),
)


@dataclass(frozen=True)
class Rule:
    """A limit, and the requests that it counts together."""

    kind: RequestKind
    by: CountedBy
    limit: RateLimit

    def group(self, value: str) -> RequestGroup:
        """The key of a group."""
        return RequestGroup(self.kind, self.by, value)

    def values(self, request: CountedRequest) -> set[str]:
        """The groups of a request, of which each name has the registered domain in two labels."""
        match self.by:
            case CountedBy.ALL:
                return {""}
            case CountedBy.ACCOUNT:
                return {request.account}
            case CountedBy.ACCOUNT_AND_NAMES:
                return {" ".join((request.account, *request.names))}
            case CountedBy.NAMES:
                return {" ".join(sorted(request.names))}
            case CountedBy.REGISTERED_DOMAIN:
                return {name.partition(".")[2] for name in request.names}

    def instants(
        self, requests: Iterable[CountedRequest], value: str, now: datetime
    ) -> list[datetime]:
        """When the requests of a group were made that count now, oldest first."""
        begin = self.limit.begin(now)
        return sorted(
            each.at
            for each in requests
            if each.kind is self.kind and value in self.values(each) and each.at > begin
        )


ORDERS: Final = Rule(RequestKind.ORDER, CountedBy.ACCOUNT, RateLimit(2, HOUR))
RULES: Final = (
    Rule(RequestKind.ACCOUNT, CountedBy.ALL, RateLimit(2, HOUR)),
    ORDERS,
    Rule(RequestKind.CERTIFICATE, CountedBy.REGISTERED_DOMAIN, RateLimit(2, 2 * HOUR)),
    Rule(RequestKind.CERTIFICATE, CountedBy.NAMES, RateLimit(1, HOUR)),
    Rule(RequestKind.REPLACEMENT, CountedBy.NAMES, RateLimit(1, HOUR)),
    Rule(RequestKind.VALIDATION, CountedBy.ACCOUNT_AND_NAMES, RateLimit(1, HOUR)),
)
LIMITS: Final = Limits(*(rule.limit for rule in RULES))


@dataclass(frozen=True)
class Counted:
    """The counted requests to one CA."""

    requests: tuple[CountedRequest, ...] = ()

    def reached(self, expenses: Expenses) -> datetime | None:
        """Until when the limits forbid requests; None if they allow them."""
        ids = {(each.kind, each.id) for each in self.requests if each.id}
        ends = [
            rule.limit.end(instants[-rule.limit.count])
            for request in (*expenses.counted, *expenses.following)
            if (request.kind, request.id) not in ids
            for rule in RULES
            if rule.kind is request.kind
            for value in rule.values(request)
            if len(instants := rule.instants(self.requests, value, expenses.now))
            >= rule.limit.count
        ]
        return max(ends, default=None)

    def after(self, expenses: Expenses) -> Counted:
        """Add requests that were allowed."""
        again = {(each.kind, each.id) for each in expenses.counted if each.id}
        kept = (
            each
            for each in self.requests
            if (each.kind, each.id) not in again and not _is_validation_of(expenses.validated, each)
        )
        return Counted((*kept, *expenses.counted))

    def used(self, now: datetime) -> dict[RequestGroup, int]:
        """Return how many requests of each group count now."""
        return {
            rule.group(value): len(rule.instants(self.requests, value, now))
            for rule, value in GROUPS
        }


def _is_validation_of(order: str, request: CountedRequest) -> bool:
    kind, of_order = request.kind, request.id.rpartition(" ")[0]
    return kind is RequestKind.VALIDATION and bool(order) and of_order == order


def _groups() -> Iterator[tuple[Rule, str]]:
    """Every group that may have requests."""
    for rule in RULES:
        some = (
            rule.values(CountedRequest(rule.kind, NOW, account=account, names=names))
            for account, names in product(ACCOUNTS, (*NAME_SETS, ("www.example.com",)))
        )
        for value in sorted(set().union(*some)):
            yield rule, value


GROUPS: Final = tuple(_groups())


def used_at(store: RateLimitUsageStore, url: str, now: datetime) -> dict[RequestGroup, int]:
    """Ask a store how many requests of each group count now."""
    found = {}
    for rule, value in GROUPS:
        group, since = rule.group(value), rule.limit.begin(now)
        found[group] = len(store.instants(url, group, since=since, now=now, count=100))
    return found
