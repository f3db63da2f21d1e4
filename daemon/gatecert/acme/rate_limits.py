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

from gatecert.model import Allowance, Expense, ExpenseKind, Limits, RateLimitUsage
from gatecert.resolve.suffixes import registrable_domain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ON_THE_WAY = timedelta(minutes=5)  # as long as an order may take
REPLACEMENTS = Allowance(5, timedelta(days=1))
RENEWALS_A_LIFE = 4  # twice as often as at half of the lifetime, the earliest there is
LEAST_REMEMBERED = 1000  # expenses, the newest, whether or not they still count
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
    allowance: Allowance
    until: datetime | None = None

    def __str__(self) -> str:
        if self.until is not None:
            return f"no more {self.what} until {self.until:%Y-%m-%d %H:%M:%S} UTC"
        allowance = self.allowance
        return f"{self.count} of {allowance.count} {self.what} left in {allowance.period_text}"


@dataclass(frozen=True, slots=True)
class _Rule:
    """One limit, as it applies to one expense."""

    allowance: Allowance
    what: str
    counts: Callable[[Expense], bool]


def for_lifetime(allowance: Allowance | None, lifetime: timedelta | None) -> Allowance | None:
    """How many certificates may be issued, where the last one lived that long."""
    if allowance is None or not lifetime:
        return allowance
    needed = ceil(RENEWALS_A_LIFE * allowance.period / lifetime)
    return replace(allowance, count=max(allowance.count, needed))


def wait_for(
    spending: RateLimitUsage, wanted: Sequence[Expense], limits: Limits, now: datetime
) -> Wait | None:
    """How long something has to wait; None if it may be asked for now.

    Args:
        spending: What was asked for so far.
        wanted: What is to be asked for, all at once.
        limits: What is allowed.
        now: Aware UTC.
    """
    past = settled(spending, now).expenses
    waits = [
        wait
        for expense in wanted
        if not _is_paid(past, expense)
        for rule in _rules(expense, limits, past)
        if (wait := _wait(past, rule, now)) is not None
    ]
    return max(waits, key=lambda wait: wait.until, default=None)


def remaining(
    spending: RateLimitUsage, wanted: Sequence[Expense], limits: Limits, now: datetime
) -> tuple[RemainingAllowance, ...]:
    """What is left of each limit that has to be kept.

    Args:
        spending: What was asked for so far.
        wanted: What would be asked for.
        limits: What is allowed.
        now: Aware UTC.
    """
    past = settled(spending, now).expenses
    found = []
    for rule in (rule for expense in wanted for rule in _rules(expense, limits, past)):
        wait = _wait(past, rule, now)
        count = max(0, rule.allowance.count - len(_counted(past, rule, now)))
        found.append(
            RemainingAllowance(rule.what, count, rule.allowance, wait.until if wait else None)
        )
    return tuple(found)


def spend(
    spending: RateLimitUsage, wanted: Sequence[Expense], limits: Limits, now: datetime
) -> RateLimitUsage:
    """The same with what is about to be asked for, and without what no limit counts any more.

    Args:
        spending: What was asked for so far.
        wanted: What is about to be asked for.
        limits: What is allowed.
        now: Aware UTC.
    """
    past = settled(spending, now).expenses
    latest = max((expense.at for expense in past), default=now)
    behind = latest > now
    again = {(expense.kind, expense.id) for expense in wanted if expense.id}
    others = (expense for expense in past if (expense.kind, expense.id) not in again)
    new = (replace(each, at=latest, noticed=now) if behind else each for each in wanted)
    return RateLimitUsage(_without_stale((*others, *new), limits, now))


def take_back(spending: RateLimitUsage, order_url: str) -> RateLimitUsage:
    """The same without the validations of an order, none of which has failed."""
    return RateLimitUsage(
        tuple(
            expense
            for expense in spending.expenses
            if expense.kind is not ExpenseKind.VALIDATION
            or not expense.id.startswith(f"{order_url} ")
        )
    )


def settled(spending: RateLimitUsage, now: datetime) -> RateLimitUsage:
    """The same, with it noticed what seems to lie in the future."""
    return RateLimitUsage(tuple(_noticed(expense, now) for expense in spending.expenses))


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
    expenses: tuple[Expense, ...], limits: Limits, now: datetime
) -> tuple[Expense, ...]:
    """All that a limit still counts, and the newest."""
    old, newest = expenses[:-LEAST_REMEMBERED], expenses[-LEAST_REMEMBERED:]
    begins = {kind: now - _longest_period(kind, limits) - ON_THE_WAY for kind in ExpenseKind}
    return (
        *(expense for expense in old if _counts_from(expense, now) > begins[expense.kind]),
        *newest,
    )


def _longest_period(kind: ExpenseKind, limits: Limits) -> timedelta:
    """How long an expense of this kind counts; nothing where no limit counts it."""
    allowances = {
        ExpenseKind.ACCOUNT: (limits.new_accounts,),
        ExpenseKind.ORDER: (limits.orders,),
        ExpenseKind.CERTIFICATE: (limits.certificates, limits.duplicates),
        ExpenseKind.REPLACEMENT: (limits.replacements,),
        ExpenseKind.VALIDATION: (limits.failed_validations,),
    }[kind]
    return max((each.period for each in allowances if each), default=timedelta(0))


def _noticed(expense: Expense, now: datetime) -> Expense:
    if expense.at <= now:
        return expense if expense.noticed is None else replace(expense, noticed=None)
    known = expense.noticed
    return expense if known is not None and known <= now else replace(expense, noticed=now)


def _counts_from(expense: Expense, now: datetime) -> datetime:
    """The instant from which an expense counts."""
    return expense.at if expense.at <= now else expense.noticed or now


def _is_paid(past: Sequence[Expense], wanted: Expense) -> bool:
    return bool(wanted.id) and any(
        expense.kind is wanted.kind and expense.id == wanted.id for expense in past
    )


def _wait(past: Sequence[Expense], rule: _Rule, now: datetime) -> Wait | None:
    allowance = rule.allowance
    period = allowance.period + ON_THE_WAY
    instants = _counted(past, rule, now)
    if len(instants) < allowance.count:
        return None
    return Wait(instants[-allowance.count] + period, f"{rule.what}: {allowance}")


def _counted(past: Sequence[Expense], rule: _Rule, now: datetime) -> list[datetime]:
    """When each expense was that counts at present, oldest first."""
    begin = now - (rule.allowance.period + ON_THE_WAY)
    instants = (_counts_from(expense, now) for expense in past if rule.counts(expense))
    return sorted(instant for instant in instants if instant > begin)


def _rules(wanted: Expense, limits: Limits, past: Sequence[Expense]) -> Iterator[_Rule]:
    """The limits that an expense has to keep."""
    match wanted.kind:
        case ExpenseKind.ACCOUNT:
            yield from _rule(limits.new_accounts, "new accounts", wanted, lambda _: True)
        case ExpenseKind.ORDER:
            yield from _rule(
                limits.orders, "orders", wanted, lambda past: past.account == wanted.account
            )
        case ExpenseKind.VALIDATION:
            yield from _rule(
                limits.failed_validations,
                f"failed validations of {', '.join(wanted.names)}",
                wanted,
                lambda past: past.account == wanted.account and past.names == wanted.names,
            )
        case ExpenseKind.REPLACEMENT:
            yield from _rule(
                limits.replacements,
                f"replacements of the certificate for {', '.join(wanted.names)}",
                wanted,
                lambda past: set(past.names) == set(wanted.names),
            )
        case ExpenseKind.CERTIFICATE:
            yield from _rule(
                limits.duplicates,
                f"certificates for {', '.join(wanted.names)}",
                wanted,
                lambda past: set(past.names) == set(wanted.names),
            )
            # The Public Suffix List takes a while to read: not before it can matter.
            issued = sum(expense.kind is ExpenseKind.CERTIFICATE for expense in past)
            if limits.certificates is not None and issued >= limits.certificates.count:
                yield from _domain_rules(wanted, limits.certificates)


def _domain_rules(wanted: Expense, allowance: Allowance) -> Iterator[_Rule]:
    for domain in sorted({registered_domain(name) for name in wanted.names}):
        what = f"certificates below {domain}"
        yield from _rule(allowance, what, wanted, partial(_is_below, domain))


def _is_below(domain: str, past: Expense) -> bool:
    return any(registered_domain(name) == domain for name in past.names)


def _rule(
    allowance: Allowance | None, what: str, wanted: Expense, counts: Callable[[Expense], bool]
) -> Iterator[_Rule]:
    if allowance is not None:
        yield _Rule(allowance, what, lambda past: past.kind is wanted.kind and counts(past))
