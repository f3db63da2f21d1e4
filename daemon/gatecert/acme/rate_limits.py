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
  are dropped only beyond the newest `MIN_KEPT_REQUESTS`, so a clock that ran ahead for a while does
  not free anything once it is right again.
- *No certificate expires because of a limit.* Certificates that live one day need more than five a
  week: unless the operator set a limit, a certificate may be renewed twice as often as its lifetime
  requires.
- Renewals that name the replaced certificate by CertID (RFC 9773) are exempt at the CA.
  `REPLACEMENTS` is our own limit against a CA that wrongly wants each certificate replaced right
  after issuance.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, partial
from math import ceil
from typing import TYPE_CHECKING

from gatecert.model import CountedRequest, Limits, RateLimit, RateLimitUsage, RequestKind
from gatecert.resolve.public_suffixes import registrable_domain
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
    """A limit applied to one request."""

    allowance: RateLimit
    what: str
    counts: Callable[[CountedRequest], bool]


def for_lifetime(allowance: RateLimit | None, lifetime: timedelta | None) -> RateLimit | None:
    """Raise a limit on certificates to what this lifetime needs."""
    if allowance is None or not lifetime:
        return allowance
    needed = ceil(RENEWALS_A_LIFE * allowance.period / lifetime)
    return replace(allowance, count=max(allowance.count, needed))


def required_wait(
    usage: RateLimitUsage, wanted: Sequence[CountedRequest], limits: Limits, now: datetime
) -> Wait | None:
    """Return how long requests have to wait; None if they may be sent now.

    Args:
        usage: The past requests.
        wanted: The requests, sent together.
        limits: The CA's limits.
        now: Aware UTC.
    """
    past = with_future_noticed(usage, now).expenses
    waits = [
        wait
        for request in wanted
        if not _is_counted(past, request)
        for rule in _rules(request, limits, past)
        if (wait := _wait(past, rule, now)) is not None
    ]
    return max(waits, key=lambda wait: wait.until, default=None)


def remaining_allowances(
    usage: RateLimitUsage, wanted: Sequence[CountedRequest], limits: Limits, now: datetime
) -> tuple[RemainingAllowance, ...]:
    """Return what is left of each limit that applies.

    Args:
        usage: The past requests.
        wanted: The requests to send.
        limits: The CA's limits.
        now: Aware UTC.
    """
    past = with_future_noticed(usage, now).expenses
    found = []
    for rule in (rule for request in wanted for rule in _rules(request, limits, past)):
        wait = _wait(past, rule, now)
        count = max(0, rule.allowance.count - len(_counted(past, rule, now)))
        found.append(
            RemainingAllowance(rule.what, count, rule.allowance, wait.until if wait else None)
        )
    return tuple(found)


def record_requests(
    usage: RateLimitUsage, wanted: Sequence[CountedRequest], limits: Limits, now: datetime
) -> RateLimitUsage:
    """Add requests, and drop those that no limit counts any more.

    Args:
        usage: The past requests.
        wanted: The requests about to be sent.
        limits: The CA's limits.
        now: Aware UTC.
    """
    past = with_future_noticed(usage, now).expenses
    latest = max((request.at for request in past), default=now)
    behind = latest > now
    again = {(request.kind, request.id) for request in wanted if request.id}
    others = (request for request in past if (request.kind, request.id) not in again)
    new = (replace(each, at=latest, noticed=now) if behind else each for each in wanted)
    return RateLimitUsage(_without_stale((*others, *new), limits, now))


def without_validations(usage: RateLimitUsage, order_url: str) -> RateLimitUsage:
    """Remove the validations of an order, none of which has failed."""
    return RateLimitUsage(
        tuple(
            request
            for request in usage.expenses
            if request.kind is not RequestKind.VALIDATION
            or not request.id.startswith(f"{order_url} ")
        )
    )


def with_future_noticed(usage: RateLimitUsage, now: datetime) -> RateLimitUsage:
    """Mark requests that seem to be in the future with the current time."""
    return RateLimitUsage(tuple(_with_future_noticed(request, now) for request in usage.expenses))


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


def _without_stale(
    requests: tuple[CountedRequest, ...], limits: Limits, now: datetime
) -> tuple[CountedRequest, ...]:
    """Keep the requests that a limit still counts, and the newest."""
    old, newest = requests[:-MIN_KEPT_REQUESTS], requests[-MIN_KEPT_REQUESTS:]
    begins = {kind: now - _longest_period(kind, limits) - IN_TRANSIT for kind in RequestKind}
    return (
        *(request for request in old if _counts_from(request, now) > begins[request.kind]),
        *newest,
    )


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


def _with_future_noticed(request: CountedRequest, now: datetime) -> CountedRequest:
    if request.at <= now:
        return request if request.noticed is None else replace(request, noticed=None)
    known = request.noticed
    return request if known is not None and known <= now else replace(request, noticed=now)


def _counts_from(request: CountedRequest, now: datetime) -> datetime:
    """Return the instant from which a request counts."""
    return request.at if request.at <= now else request.noticed or now


def _is_counted(past: Sequence[CountedRequest], wanted: CountedRequest) -> bool:
    return bool(wanted.id) and any(
        request.kind is wanted.kind and request.id == wanted.id for request in past
    )


def _wait(past: Sequence[CountedRequest], rule: _Rule, now: datetime) -> Wait | None:
    allowance = rule.allowance
    period = allowance.period + IN_TRANSIT
    instants = _counted(past, rule, now)
    if len(instants) < allowance.count:
        return None
    return Wait(instants[-allowance.count] + period, f"{rule.what}: {allowance}")


def _counted(past: Sequence[CountedRequest], rule: _Rule, now: datetime) -> list[datetime]:
    """Return the times of the requests that count now, oldest first."""
    begin = now - (rule.allowance.period + IN_TRANSIT)
    instants = (_counts_from(request, now) for request in past if rule.counts(request))
    return sorted(instant for instant in instants if instant > begin)


def _rules(
    wanted: CountedRequest, limits: Limits, past: Sequence[CountedRequest]
) -> Iterator[_Rule]:
    """Yield the limits that apply to a request."""
    match wanted.kind:
        case RequestKind.ACCOUNT:
            yield from _rule(limits.new_accounts, "new accounts", wanted, lambda _: True)
        case RequestKind.ORDER:
            yield from _rule(
                limits.orders, "orders", wanted, lambda past: past.account == wanted.account
            )
        case RequestKind.VALIDATION:
            yield from _rule(
                limits.failed_validations,
                f"failed validations of {', '.join(wanted.names)}",
                wanted,
                lambda past: past.account == wanted.account and past.names == wanted.names,
            )
        case RequestKind.REPLACEMENT:
            yield from _rule(
                limits.replacements,
                f"replacements of the certificate for {', '.join(wanted.names)}",
                wanted,
                lambda past: set(past.names) == set(wanted.names),
            )
        case RequestKind.CERTIFICATE:
            yield from _rule(
                limits.duplicates,
                f"certificates for {', '.join(wanted.names)}",
                wanted,
                lambda past: set(past.names) == set(wanted.names),
            )
            # The Public Suffix List is slow to load, so only when the limit can matter.
            issued = sum(request.kind is RequestKind.CERTIFICATE for request in past)
            if limits.certificates is not None and issued >= limits.certificates.count:
                yield from _domain_rules(wanted, limits.certificates)


def _domain_rules(wanted: CountedRequest, allowance: RateLimit) -> Iterator[_Rule]:
    for domain in sorted({registered_domain(name) for name in wanted.names}):
        what = f"certificates below {domain}"
        yield from _rule(allowance, what, wanted, partial(_is_below, domain))


def _is_below(domain: str, past: CountedRequest) -> bool:
    return any(registered_domain(name) == domain for name in past.names)


def _rule(
    allowance: RateLimit | None,
    what: str,
    wanted: CountedRequest,
    counts: Callable[[CountedRequest], bool],
) -> Iterator[_Rule]:
    if allowance is not None:
        yield _Rule(allowance, what, lambda past: past.kind is wanted.kind and counts(past))
