"""What an authority's limits still allow. Pure: the clock and the past are passed in.

The defaults are Let's Encrypt's: 10 new accounts from a host in 3 hours, 300 orders of an account
in 3 hours, 50 certificates for a registered domain and 5 for exactly the same names in 7 days, 5
failed validations of a name by an account in an hour.

- *Never more than so many in any period.* Let's Encrypt gives back one after the other meanwhile (a
  failed validation every 12 minutes), so whoever keeps to this is always below its count.
- *Counted before it is sent*, and taken back only when it is known to have ended well: whatever
  interrupts us, we never know of less than the authority does.
- *Once each.* What is tried again under the same id counts once, from the last time on.
- *On the way.* What is counted here reaches the authority a little later, some of it sooner than
  the rest, so a period is taken for longer than it is.
- *A clock that was set back frees nothing and blocks nothing for ever*: what seems to lie in the
  future counts from when that was noticed, and by its own instant again once the clock is right;
  what is spent meanwhile counts as of the latest instant known.
- *Nothing that a limit still counts is ever forgotten*, however much there is. What no limit counts
  any more is forgotten only where newer entries abound, so a clock that ran ahead for a while frees
  nothing either once it is right again.
- *No certificate lapses by it.* Whoever issues certificates that live a day has to allow more than
  five of them a week: unless the operator said how many, a certificate may be renewed twice as
  often as its lifetime wants.
- Orders that replace a certificate by its CertID (RFC 9773) are exempt at the authority. So that
  one that errs, and wants each certificate replaced as soon as it is issued, does not get a new
  one every minute, there is a limit of our own.
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
from gatecert.resolve.suffixes import registrable_domain
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

IN_TRANSIT = timedelta(minutes=5)  # as long as an order may take
REPLACEMENTS = RateLimit(5, timedelta(days=1))
RENEWALS_A_LIFE = 4  # twice as often as at half of the lifetime, the earliest there is
MIN_KEPT_REQUESTS = 1000  # requests, the newest, whether or not they still count
_SITE_BITS = 64  # of an IPv6 address: what one subscriber has


@dataclass(frozen=True, slots=True)
class Wait:
    """Until when something has to wait, and for what."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class RemainingAllowance:
    """What is left of one limit.

    Attributes:
        what: Of what.
        count: How many more now.
        until: When there will be one again; None while there is.
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
    """One limit, as it applies to one request."""

    allowance: RateLimit
    what: str
    counts: Callable[[CountedRequest], bool]


def for_lifetime(allowance: RateLimit | None, lifetime: timedelta | None) -> RateLimit | None:
    """How many certificates may be issued, where the last one lived that long."""
    if allowance is None or not lifetime:
        return allowance
    needed = ceil(RENEWALS_A_LIFE * allowance.period / lifetime)
    return replace(allowance, count=max(allowance.count, needed))


def required_wait(
    usage: RateLimitUsage, wanted: Sequence[CountedRequest], limits: Limits, now: datetime
) -> Wait | None:
    """How long something has to wait; None if it may be asked for now.

    Args:
        usage: What was asked for so far.
        wanted: What is to be asked for, all at once.
        limits: What is allowed.
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
    """What is left of each limit that has to be kept.

    Args:
        usage: What was asked for so far.
        wanted: What would be asked for.
        limits: What is allowed.
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
    """The same with what is about to be asked for, and without what no limit counts any more.

    Args:
        usage: What was asked for so far.
        wanted: What is about to be asked for.
        limits: What is allowed.
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
    """The same without the validations of an order, none of which has failed."""
    return RateLimitUsage(
        tuple(
            request
            for request in usage.expenses
            if request.kind is not RequestKind.VALIDATION
            or not request.id.startswith(f"{order_url} ")
        )
    )


def with_future_noticed(usage: RateLimitUsage, now: datetime) -> RateLimitUsage:
    """The same, with it noticed what seems to lie in the future."""
    return RateLimitUsage(tuple(_with_future_noticed(request, now) for request in usage.expenses))


@cache
def registered_domain(name: str) -> str:
    """What certificates are counted for: the part of a name below a public suffix.

    Authorities count by the Public Suffix List with its private part, so that each customer of a
    dynamic-DNS service in it counts alone; IPv4 addresses alone, IPv6 addresses by /64.
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
    """All that a limit still counts, and the newest."""
    old, newest = requests[:-MIN_KEPT_REQUESTS], requests[-MIN_KEPT_REQUESTS:]
    begins = {kind: now - _longest_period(kind, limits) - IN_TRANSIT for kind in RequestKind}
    return (
        *(request for request in old if _counts_from(request, now) > begins[request.kind]),
        *newest,
    )


def _longest_period(kind: RequestKind, limits: Limits) -> timedelta:
    """How long a request of this kind counts; nothing where no limit counts it."""
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
    """The instant from which a request counts."""
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
    """When each request was that counts at present, oldest first."""
    begin = now - (rule.allowance.period + IN_TRANSIT)
    instants = (_counts_from(request, now) for request in past if rule.counts(request))
    return sorted(instant for instant in instants if instant > begin)


def _rules(
    wanted: CountedRequest, limits: Limits, past: Sequence[CountedRequest]
) -> Iterator[_Rule]:
    """The limits that a request has to keep."""
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
            # The Public Suffix List takes a while to read: not before it can matter.
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
