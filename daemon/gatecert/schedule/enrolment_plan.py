"""Arithmetic of first certificates for many gateways at one CA, and of their renewals. Pure.

Limits are those of the CA for a registered domain and for the account. Of each, a tenth is kept for
urgent orders, so first certificates get the rest (``model.fleet``). A limit for so many in a period
takes a whole period for each part of them: the first part may have to wait for orders of the period
before.

A cluster registers one account and counts its own, so the limit of new accounts delays no order.

Renewals that name the certificate they replace (ARI, RFC 9773) are exempt from the limits. They
count as work of their day.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from gatecert.model import RateLimit
from gatecert.model.fleet import Priority, usable, usable_limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gatecert.model import Limits

DAY: Final = timedelta(days=1)
LONGEST: Final = timedelta(days=36_525)  # a century, beyond which no day is named
Orders = list[tuple[timedelta, int]]
"""Orders, by the time since the first."""


@dataclass(frozen=True, slots=True)
class LimitedOrders:
    """First orders that one limit counts together.

    Attributes:
        domain: The registered domain; empty for all orders of the account.
        count: The orders.
    """

    domain: str
    count: int
    limit: RateLimit

    @property
    def shortest(self) -> timedelta:
        """The time that the whole limit would take."""
        return self._time(self.limit.count)

    @property
    def time(self) -> timedelta:
        """The time that the limit takes, less the part that is kept for urgent orders."""
        return self._time(usable(self.limit.count, Priority.NONE))

    @property
    def is_within(self) -> bool:
        """True if the limit lets all of them through at once."""
        return self.count <= usable(self.limit.count, Priority.NONE)

    def renewable(self, renew_after: timedelta) -> int:
        """Return how many certificates the limit would keep renewed, if renewals counted."""
        return int(self.limit.count * (renew_after / self.limit.period))

    def _time(self, count: int) -> timedelta:
        return -(-self.count // count) * self.limit.period


@dataclass(frozen=True, slots=True)
class EnrolmentPlan:
    """First certificates for many gateways at one CA, and their renewals.

    Attributes:
        certificates: Number of certificates.
        limited: What each limit counts together, the slowest first.
        last: When the last first order is sent, after the first one.
        busiest_day: Days after the first order; None beyond a century.
        busiest_orders: Orders of that day, renewals included.
        renewals_a_day: On average, once all are enrolled.
    """

    certificates: int
    limited: tuple[LimitedOrders, ...]
    last: timedelta
    busiest_day: int | None
    busiest_orders: int
    renewals_a_day: float


def enrolment_plan(
    by_domain: Mapping[str, int], limits: Limits, renew_after: timedelta
) -> EnrolmentPlan:
    """Plan the first certificates, and their renewals.

    Args:
        by_domain: Number of certificates below each registered domain.
        limits: The CA's limits.
        renew_after: From the issue of a certificate to its renewal, at least a day.
    """
    certificates = sum(by_domain.values())
    limited = []
    if limits.certificates is not None:
        for domain, count in by_domain.items():
            limited.append(LimitedOrders(domain, count, limits.certificates))
    if limits.orders is not None:
        limited.append(LimitedOrders("", certificates, limits.orders))
    first = first_orders(by_domain, usable_limits(limits, Priority.NONE))
    last = first[-1][0] if first else timedelta(0)
    busiest_day, busiest_orders = _busiest_day(first, renew_after) if last <= LONGEST else (None, 0)
    return EnrolmentPlan(
        certificates,
        tuple(sorted(limited, key=lambda each: each.time, reverse=True)),
        last,
        busiest_day,
        busiest_orders,
        certificates / (renew_after / DAY),
    )


def first_orders(by_domain: Mapping[str, int], limits: Limits) -> Orders:
    """Return when first orders are sent, each as early as the limits allow."""
    ready: Counter[timedelta] = Counter()
    for count, domains in Counter(by_domain.values()).items():
        for at, number in sent([(timedelta(0), count)], limits.certificates):
            ready[at] += number * domains
    return sent(sorted(ready.items()), limits.orders)


def sent(ready: Iterable[tuple[timedelta, int]], limit: RateLimit | None) -> Orders:
    """Return when a limit lets orders through, each as early as it can.

    Args:
        ready: The orders by the time from which on they could be sent, in this order.
        limit: Counts all of them together.
    """
    if limit is None:
        return [(at, number) for at, number in ready if number]
    orders: Orders = []
    counted: deque[tuple[timedelta, int]] = deque()
    used, now = 0, timedelta(0)
    for at, number in ready:
        waiting, now = number, max(now, at)
        while waiting:
            while counted and counted[0][0] + limit.period <= now:
                used -= counted.popleft()[1]
            if used == limit.count:
                now = counted[0][0] + limit.period
                continue
            batch = (now, min(waiting, limit.count - used))
            orders.append(batch)
            counted.append(batch)
            waiting, used = waiting - batch[1], used + batch[1]
    return orders


def _busiest_day(first: Orders, renew_after: timedelta) -> tuple[int, int]:
    """Return the day with the most orders and their number, until the last was renewed once."""
    if not first:
        return 0, 0
    again = renew_after // DAY
    days = [0] * (first[-1][0] // DAY + again + 1)
    for at, number in first:
        days[at // DAY] += number
    for day in range(again, len(days)):
        days[day] += days[day - again]
    busiest = max(range(len(days)), key=days.__getitem__)
    return busiest, days[busiest]
