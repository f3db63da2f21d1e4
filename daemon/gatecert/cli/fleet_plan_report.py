"""The text and the JSON of ``gatecert fleet plan``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Final

from gatecert.cli.output import show_lines
from gatecert.report.terminal import Terminal
from gatecert.schedule.enrolment_plan import DAY, LONGEST, EnrolmentPlan
from gatecert.time_format import day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.schedule.enrolment_plan import LimitedOrders

SCHEMA: Final = 1
WEEK: Final = 7 * DAY
HOUR: Final = timedelta(hours=1)
MOST_SHOWN: Final = 5  # domains
LABEL: Final = 14  # columns


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """First certificates of a fleet from a CA.

    Attributes:
        authority: Name of the CA in the configuration.
        start: The time of the first order.
        lifetime: Of the certificates.
        renew_after: From their issue to their renewal.
    """

    authority: str
    start: datetime
    lifetime: timedelta
    renew_after: timedelta
    orders: EnrolmentPlan


def show_plan(plan: FleetPlan) -> None:
    """Show a plan on standard output."""
    terminal = Terminal.of(sys.stdout)
    show_lines(plan.authority)
    for label, text in _rows(plan):
        for line in terminal.wrap(text, first=f"  {label:<{LABEL}} "):
            show_lines(line)


def plan_document(plan: FleetPlan) -> dict[str, object]:
    """Return a plan for programs."""
    orders = plan.orders
    busiest = None
    if orders.busiest_day is not None:
        busiest = {
            "day": day(plan.start + orders.busiest_day * DAY),
            "orders": orders.busiest_orders,
        }
    return {
        "schema": SCHEMA,
        "authority": plan.authority,
        "certificates": orders.certificates,
        "limits": [
            {
                "domain": each.domain or None,
                "certificates": each.count,
                "limit": str(each.limit),
                "seconds": each.time.total_seconds(),
                "seconds_without_reserve": each.shortest.total_seconds(),
                "renewable": each.renewable(plan.renew_after),
            }
            for each in orders.limited
        ],
        "last_first_order": plan.start + orders.last if orders.last <= LONGEST else None,
        "busiest_day": busiest,
        "renewals_a_day": round(orders.renewals_a_day, 1),
    }


def _rows(plan: FleetPlan) -> Iterator[tuple[str, str]]:
    orders = plan.orders
    each = f"each for {_length(plan.lifetime)} and renewed after {_length(plan.renew_after)}"
    yield "certificates", f"{orders.certificates:,}, {each}"
    yield from _limits(orders.limited)
    if orders.busiest_day is None:
        yield "first orders", "take more than a century"
    else:
        yield "first orders", f"the last one on {day(plan.start + orders.last)}"
        busiest = day(plan.start + orders.busiest_day * DAY)
        yield "busiest day", f"{busiest} with {orders.busiest_orders:,} orders"
    yield "renewals", _renewals(plan)


def _limits(limited: tuple[LimitedOrders, ...]) -> Iterator[tuple[str, str]]:
    """Yield the slowest domains, the number of those that need not wait, and the account."""
    domains = [each for each in limited if each.domain]
    waiting = [each for each in domains if not each.is_within]
    for each in waiting[:MOST_SHOWN]:
        yield each.domain, f"{each.count:,} below it, {each.limit}: {_time(each)}"
    if len(waiting) > MOST_SHOWN:
        yield "", f"and {len(waiting) - MOST_SHOWN:,} more domains, which take no longer"
    if len(domains) > len(waiting):
        other = "other domains" if waiting else "domains"
        yield other, f"{len(domains) - len(waiting):,}, each within {domains[-1].limit}"
    for each in limited:
        if not each.domain:
            yield "account", f"{each.count:,} orders, {each.limit}: {_time(each)}"


def _time(limited: LimitedOrders) -> str:
    """Return how long the orders of a limit take."""
    if limited.is_within:
        return "within the limit"
    text = _length(limited.time)
    if limited.shortest < limited.time:
        text += f" ({_length(limited.shortest)} with the tenth that is kept for urgent orders)"
    return text


def _renewals(plan: FleetPlan) -> str:
    """Return how many renewals follow, and whether a limit would prevent them if they counted."""
    number = f"{ceil(plan.orders.renewals_a_day):,} a day"
    text = f"{number}, exempt from these limits with renewal information (ARI)"
    for limited in plan.orders.limited:
        renewable = limited.renewable(plan.renew_after)
        if renewable < limited.count:
            where = f"below {limited.domain}" if limited.domain else "of the account"
            return f"{text}; without, only {renewable:,} {where} could be kept renewed"
    return text


def _length(time: timedelta) -> str:
    """Return a length of time, rounded up: ``20 weeks``, ``42 days``, ``12 hours``."""
    if time >= 4 * WEEK and not time % WEEK:
        return f"{time // WEEK:,} weeks"
    if time >= 2 * DAY:
        return f"{ceil(time / DAY):,} days"
    hours = ceil(time / HOUR)
    return f"{hours} hour{'' if hours == 1 else 's'}"
