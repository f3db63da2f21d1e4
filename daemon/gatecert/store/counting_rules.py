"""Rules by which every store counts requests towards the rate limits of a CA. Pure.

- *Any period.* A limit applies to any period of its length. Let's Encrypt refills gradually (a
  failed validation every 12 minutes), so this count is always stricter than its own.
- *Counted before sending*, and removed only once known to have succeeded: after any interruption,
  this count is never lower than the CA's.
- *In one step.* A store checks the limits and counts under one lock or in one transaction.
- *Once each.* A retry with the same id counts once, from the last time on.
- *A clock that was set back* frees nothing and blocks nothing forever. A request in the future
  counts from the moment that is noticed, and by its own time again once the clock is right; new
  requests count as of the latest known time.
- *Nothing that a limit still counts is forgotten*, whatever the number of requests. Older requests
  may be dropped only beyond the newest `MIN_KEPT_REQUESTS`, so a clock that ran ahead for a while
  does not free anything once it is right again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from gatecert.model import (
    IN_TRANSIT,
    CountedBy,
    CountedRequest,
    GroupLimit,
    RequestGroup,
    RequestKind,
)
from gatecert.store.request_groups import groups_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from gatecert.model import Expenses, LimitReached, Limits, RateLimit

MIN_KEPT_REQUESTS = 1000  # the newest, whether or not they still count


@dataclass(frozen=True, slots=True)
class Limited:
    """The requests that a limit counts, and which of them together.

    Attributes:
        what: The requests in messages, with ``{names}`` and ``{group}`` to fill in.
    """

    kind: RequestKind
    by: CountedBy
    what: str


LIMITED: Final[Mapping[str, Limited]] = {
    "new_accounts": Limited(RequestKind.ACCOUNT, CountedBy.ALL, "new accounts"),
    "orders": Limited(RequestKind.ORDER, CountedBy.ACCOUNT, "orders"),
    "duplicates": Limited(RequestKind.CERTIFICATE, CountedBy.NAMES, "certificates for {names}"),
    "certificates": Limited(
        RequestKind.CERTIFICATE, CountedBy.REGISTERED_DOMAIN, "certificates below {group}"
    ),
    "replacements": Limited(
        RequestKind.REPLACEMENT,
        CountedBy.NAMES,
        "replacements of the certificate for {names}",
    ),
    "failed_validations": Limited(
        RequestKind.VALIDATION, CountedBy.ACCOUNT_AND_NAMES, "failed validations of {names}"
    ),
}
"""Each of `Limits`."""


class PastRequests(Protocol):
    """The requests to one CA that a store has counted, while nothing else changes them."""

    def number(self, kind: RequestKind) -> int:
        """Return the number of requests of a kind, or more."""
        ...

    def is_counted(self, request: CountedRequest) -> bool:
        """Tell whether a request with the same kind and id counts; False for one without an id."""
        ...

    def instants(
        self, group: RequestGroup, *, since: datetime, now: datetime, count: int
    ) -> Sequence[datetime]:
        """Return from when requests count; see `RateLimitUsageStore.instants`."""
        ...


def limit_reached(past: PastRequests, expenses: Expenses, within: Limits) -> LimitReached | None:
    """Return the limit that forbids requests for the longest; None if they may be sent now."""
    now = expenses.now
    reached = [
        found
        for request in (*expenses.counted, *expenses.following)
        if not past.is_counted(request)
        for limit in group_limits(request, within, past.number(request.kind))
        if (found := limit.reached(counting(past, limit, now))) is not None
    ]
    return max(reached, key=lambda each: each.until, default=None)


def group_limits(request: CountedRequest, within: Limits, number: int) -> Iterator[GroupLimit]:
    """Yield the limits that apply to a request.

    Args:
        request: The request.
        within: The CA's limits.
        number: How many requests of its kind count: too few for the limit of a registered domain
            spare loading the Public Suffix List.
    """
    for name, limited in LIMITED.items():
        if limited.kind is not request.kind:
            continue
        allowance: RateLimit | None = getattr(within, name)
        if allowance is None:
            continue
        if limited.by is CountedBy.REGISTERED_DOMAIN and number < allowance.count:
            continue
        for value in groups_of(request, limited.by):
            what = limited.what.format(names=", ".join(request.names), group=value)
            yield GroupLimit(allowance, RequestGroup(limited.kind, limited.by, value), what)


def counting(past: PastRequests, limit: GroupLimit, now: datetime) -> Sequence[datetime]:
    """Return from when the requests that a limit counts do so; see `GroupLimit.reached`."""
    allowance = limit.allowance
    return past.instants(limit.group, since=allowance.begin(now), now=now, count=allowance.count)


def dated(expenses: Expenses, latest: datetime | None) -> tuple[CountedRequest, ...]:
    """Return the requests to count; if the clock was set back, as of the latest known time.

    Args:
        expenses: The requests.
        latest: The latest time of a request that is counted already.
    """
    now = expenses.now
    if latest is None or latest <= now:
        return expenses.counted
    return tuple(replace(each, at=latest, noticed=now) for each in expenses.counted)


def with_mark(request: CountedRequest, now: datetime) -> CountedRequest:
    """Mark a request with the current time if it seems to be in the future.

    Returns:
        The same object if nothing changes.
    """
    if request.at <= now:
        return request if request.noticed is None else replace(request, noticed=None)
    known = request.noticed
    return request if known is not None and known <= now else replace(request, noticed=now)


def without_stale(
    requests: Sequence[CountedRequest], within: Limits, now: datetime
) -> tuple[CountedRequest, ...]:
    """Return the requests that a limit still counts, and the newest.

    Args:
        requests: The past requests, in the order of counting.
        within: The CA's limits.
        now: Aware UTC.
    """
    old, newest = requests[:-MIN_KEPT_REQUESTS], requests[-MIN_KEPT_REQUESTS:]
    begins = {kind: now - _longest_period(kind, within) - IN_TRANSIT for kind in RequestKind}
    return (
        *(each for each in old if _counts_from(each, now) > begins[each.kind]),
        *newest,
    )


def _longest_period(kind: RequestKind, within: Limits) -> timedelta:
    """Return how long a request of this kind counts; zero if no limit counts it."""
    allowances = (getattr(within, name) for name, each in LIMITED.items() if each.kind is kind)
    return max((each.period for each in allowances if each), default=timedelta(0))


def _counts_from(request: CountedRequest, now: datetime) -> datetime:
    """Return the instant from which a request counts."""
    return request.at if request.at <= now else with_mark(request, now).noticed or now
