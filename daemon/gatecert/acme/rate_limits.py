"""Rate limits of a CA. Pure: the clock and the past requests are passed in.

The defaults are Let's Encrypt's: 10 new accounts per host in 3 hours, 300 orders per account in
3 hours, 50 certificates per registered domain and 5 for the same set of names in 7 days, 5 failed
validations per name and account in an hour.

- *Any period.* A limit applies to any period of its length. Let's Encrypt refills gradually (a
  failed validation every 12 minutes), so this count is always stricter than its own.
- *Counted before sending*, and removed only once known to have succeeded: after any interruption,
  this count is never lower than the CA's.
- *Once each.* A retry with the same id counts once, from the last time on.
- *In transit.* A request reaches the CA later than it is counted here, with varying delay, so every
  period is extended by `IN_TRANSIT`.
- *A clock that was set back* frees nothing and blocks nothing forever. A request in the future
  counts from the moment that is noticed, and by its own time again once the clock is right; new
  requests count as of the latest known time.
- *Nothing that a limit still counts is forgotten*, whatever the number of requests. Older requests
  may be dropped only beyond the newest `MIN_KEPT_REQUESTS`, so a clock that ran ahead for a while
  does not free anything once it is right again.
- *A limit is a key.* What it counts together is a group of requests, which ``store.usage_index``
  finds without looking at the others.
- *No certificate expires because of a limit.* Certificates that live one day need more than five a
  week: unless the operator set a limit, a certificate may be renewed twice as often as its lifetime
  requires.
- Renewals that name the replaced certificate by CertID (RFC 9773) are exempt at the CA.
  `REPLACEMENTS` is our own limit against a CA that wrongly wants each certificate replaced right
  after issuance.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from math import ceil
from typing import TYPE_CHECKING

from gatecert.model import CountedRequest, Limits, RateLimit, RequestKind, UsageChange
from gatecert.resolve.public_suffixes import registrable_domain
from gatecert.store.usage_index import Grouping, UsageIndex, with_mark
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

IN_TRANSIT = timedelta(minutes=5)  # as long as an order may take
REPLACEMENTS = RateLimit(5, timedelta(days=1))
RENEWALS_A_LIFE = 4  # twice as often as at half of the lifetime, the earliest setting
MIN_KEPT_REQUESTS = 1000  # the newest, whether or not they still count
_SITE_BITS = 64  # of an IPv6 address: one subscriber's network


@dataclass(frozen=True, slots=True)
class Wait:
    """The end of a wait, and the limit behind it."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class RemainingAllowance:
    """The remaining allowance of one limit.

    Attributes:
        what: The requests that the limit counts.
        count: How many more are allowed now.
        until: When the next one is allowed; None while one is allowed now.
    """

    what: str
    count: int
    allowance: RateLimit
    until: datetime | None = None

    def __str__(self) -> str:
        if self.until is not None:
            return f"no more {self.what} until {instant(self.until)}"
        allowance = self.allowance
        return f"{self.count} of {allowance.count} {self.what} left in {allowance.period_text}"


@dataclass(frozen=True, slots=True)
class _Rule:
    """A limit applied to one request.

    Attributes:
        grouping: What the limit counts together.
        group: The group of the request.
    """

    allowance: RateLimit
    what: str
    kind: RequestKind
    grouping: Grouping
    group: Hashable


def for_lifetime(allowance: RateLimit | None, lifetime: timedelta | None) -> RateLimit | None:
    """Raise a limit on certificates to what this lifetime needs."""
    if allowance is None or not lifetime:
        return allowance
    needed = ceil(RENEWALS_A_LIFE * allowance.period / lifetime)
    return replace(allowance, count=max(allowance.count, needed))


def required_wait(
    usage: UsageIndex, wanted: Sequence[CountedRequest], limits: Limits, now: datetime
) -> Wait | None:
    """Return how long requests have to wait; None if they may be sent now.

    Args:
        usage: The past requests.
        wanted: The requests, sent together.
        limits: The CA's limits.
        now: Aware UTC.
    """
    waits = [
        wait
        for request in wanted
        if usage.find(request) is None
        for rule in _rules(request, limits, usage)
        if (wait := _wait(rule, _counted(usage, rule, now))) is not None
    ]
    return max(waits, key=lambda wait: wait.until, default=None)


def remaining_allowances(
    usage: UsageIndex, wanted: Sequence[CountedRequest], limits: Limits, now: datetime
) -> tuple[RemainingAllowance, ...]:
    """Return what is left of each limit that applies.

    Args:
        usage: The past requests.
        wanted: The requests to send.
        limits: The CA's limits.
        now: Aware UTC.
    """
    found = []
    for rule in (rule for request in wanted for rule in _rules(request, limits, usage)):
        counted = _counted(usage, rule, now)
        wait = _wait(rule, counted)
        count = rule.allowance.count - len(counted)
        found.append(
            RemainingAllowance(rule.what, count, rule.allowance, wait.until if wait else None)
        )
    return tuple(found)


def record_requests(
    usage: UsageIndex, wanted: Sequence[CountedRequest], now: datetime, *, validated: str = ""
) -> UsageChange | None:
    """Return the change that counts requests; None if nothing changes.

    Args:
        usage: The past requests.
        wanted: The requests about to be sent.
        now: Aware UTC.
        validated: URL of an order, none of whose validations has failed; they count no longer.
    """
    latest = usage.latest
    if latest is not None and latest > now:
        wanted = [replace(each, at=latest, noticed=now) for each in wanted]
    if not wanted and not validated:
        return with_future_noticed(usage, now)
    return UsageChange(now, tuple(wanted), validated)


def with_future_noticed(usage: UsageIndex, now: datetime) -> UsageChange | None:
    """Return the change that marks requests in the future; None if all marks are right."""
    return UsageChange(now) if usage.needs_review(now) else None


def without_stale(
    requests: Sequence[CountedRequest], limits: Limits, now: datetime
) -> tuple[CountedRequest, ...]:
    """Return the requests that a limit still counts, and the newest.

    Args:
        requests: The past requests, oldest first.
        limits: The CA's limits.
        now: Aware UTC.
    """
    old, newest = requests[:-MIN_KEPT_REQUESTS], requests[-MIN_KEPT_REQUESTS:]
    begins = {kind: now - _longest_period(kind, limits) - IN_TRANSIT for kind in RequestKind}
    return (
        *(request for request in old if _counts_from(request, now) > begins[request.kind]),
        *newest,
    )


@cache
def registered_domain(name: str) -> str:
    """Return the registered domain that a name's certificates are counted for.

    CAs use the Public Suffix List with its private section, so that each customer of a dynamic DNS
    service in it counts separately. IPv4 addresses count separately, IPv6 addresses per /64.
    """
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return registrable_domain(name.removeprefix("*."))
    if address.version == 4:  # noqa: PLR2004 - IPv4
        return str(address)
    return str(ipaddress.ip_network((address, _SITE_BITS), strict=False))


def _longest_period(kind: RequestKind, limits: Limits) -> timedelta:
    """Return how long a request of this kind counts; zero if no limit counts it."""
    allowances = {
        RequestKind.ACCOUNT: (limits.new_accounts,),
        RequestKind.ORDER: (limits.orders,),
        RequestKind.CERTIFICATE: (limits.certificates, limits.duplicates),
        RequestKind.REPLACEMENT: (limits.replacements,),
        RequestKind.VALIDATION: (limits.failed_validations,),
    }[kind]
    return max((each.period for each in allowances if each), default=timedelta(0))


def _counts_from(request: CountedRequest, now: datetime) -> datetime:
    """Return the instant from which a request counts."""
    return request.at if request.at <= now else with_mark(request, now).noticed or now


def _wait(rule: _Rule, counted: Sequence[datetime]) -> Wait | None:
    allowance = rule.allowance
    if len(counted) < allowance.count:
        return None
    return Wait(counted[0] + allowance.period + IN_TRANSIT, f"{rule.what}: {allowance}")


def _counted(usage: UsageIndex, rule: _Rule, now: datetime) -> list[datetime]:
    """Return the times of the requests that count now, oldest first, and no more than allowed."""
    return usage.instants(
        rule.kind,
        rule.grouping,
        rule.group,
        since=now - (rule.allowance.period + IN_TRANSIT),
        now=now,
        count=rule.allowance.count,
    )


def _rules(wanted: CountedRequest, limits: Limits, usage: UsageIndex) -> Iterator[_Rule]:
    """Yield the limits that apply to a request."""
    names = ", ".join(wanted.names)
    match wanted.kind:
        case RequestKind.ACCOUNT:
            yield from _rule(limits.new_accounts, "new accounts", wanted, _all_together)
        case RequestKind.ORDER:
            yield from _rule(limits.orders, "orders", wanted, _by_account)
        case RequestKind.VALIDATION:
            what = f"failed validations of {names}"
            yield from _rule(limits.failed_validations, what, wanted, _by_account_and_names)
        case RequestKind.REPLACEMENT:
            what = f"replacements of the certificate for {names}"
            yield from _rule(limits.replacements, what, wanted, _by_names)
        case RequestKind.CERTIFICATE:
            yield from _rule(limits.duplicates, f"certificates for {names}", wanted, _by_names)
            # The Public Suffix List is slow to load, so only when the limit can matter.
            issued = usage.count(RequestKind.CERTIFICATE)
            if limits.certificates is not None and issued >= limits.certificates.count:
                for domain in sorted(_by_registered_domain(wanted)):
                    what = f"certificates below {domain}"
                    yield _Rule(
                        limits.certificates, what, wanted.kind, _by_registered_domain, domain
                    )


def _rule(
    allowance: RateLimit | None, what: str, wanted: CountedRequest, grouping: Grouping
) -> Iterator[_Rule]:
    """Yield the limit on each group of a request."""
    if allowance is not None:
        for group in grouping(wanted):
            yield _Rule(allowance, what, wanted.kind, grouping, group)


def _all_together(_: CountedRequest) -> tuple[Hashable]:
    return (None,)


def _by_account(request: CountedRequest) -> tuple[str]:
    return (request.account,)


def _by_account_and_names(request: CountedRequest) -> tuple[Hashable]:
    return ((request.account, request.names),)


def _by_names(request: CountedRequest) -> tuple[frozenset[str]]:
    return (frozenset(request.names),)


def _by_registered_domain(request: CountedRequest) -> frozenset[str]:
    return frozenset(registered_domain(name) for name in request.names)
