"""The text and the JSON of ``gatecert fleet status``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

from gatecert.cli.output import show_lines
from gatecert.model import Limits
from gatecert.model.fleet_overview import FleetState, LimitUse
from gatecert.report.terminal import Terminal
from gatecert.time_format import ahead, day, instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from gatecert.model.fleet import FleetHalt
    from gatecert.model.fleet_overview import AuthorityUse, FleetOverview

SCHEMA: Final = 1
LABEL: Final = 12  # columns
SHOWN_FIRST: Final = (  # of the states; expired gateways are the fewest and the worst
    FleetState.TRUSTED,
    FleetState.RENEWING,
    FleetState.WAITING,
    FleetState.ROLLED_BACK,
    FleetState.REVOKED,
    FleetState.EXPIRED,
)
WORDS: Final = {FleetState.ROLLED_BACK: "rolled back"}
MOST_NAMED: Final = 3  # silent hosts
OF_LIMIT: Final = {"certificates": "new names", "orders": "orders"}


@dataclass(frozen=True, slots=True)
class FleetAuthority:
    """A CA as the configuration, or general knowledge, has it.

    Attributes:
        most_orders: At the same time, by all hosts together; None if it is not configured here.
    """

    name: str
    limits: Limits
    most_orders: int | None = None


def show_overview(overview: FleetOverview, authorities: Mapping[str, FleetAuthority]) -> None:
    """Show an overview on standard output.

    Args:
        overview: What to show.
        authorities: By the URL of their directories.
    """
    terminal = Terminal.of(sys.stdout)
    for label, text in _rows(overview, authorities):
        for line in terminal.wrap(text, first=f"{label:<{LABEL}} "):
            show_lines(line)


def overview_document(
    overview: FleetOverview, authorities: Mapping[str, FleetAuthority]
) -> dict[str, object]:
    """Return an overview for programs."""
    busiest = overview.busiest_day
    halt = overview.halt
    return {
        "schema": SCHEMA,
        "time": overview.at,
        "cluster": overview.cluster or None,
        "database": overview.database,
        "gateways": {"total": overview.gateways}
        | {str(state): number for state, number in overview.states.items()},
        "ends_next": overview.ends_next,
        "due_today": overview.due_today,
        "busiest_day": {"day": busiest[0].isoformat(), "orders": busiest[1]} if busiest else None,
        "authorities": [
            {
                "name": known.name if known is not None else None,
                "directory_url": each.directory_url,
                "in_flight": each.in_flight,
                "most_orders": known.most_orders if known is not None else None,
                "not_before": each.not_before,
                "limits": [
                    {
                        "limit": use.limit,
                        "group": use.value,
                        "used": use.used,
                        "count": getattr(known.limits, use.limit).count,
                        "seconds": getattr(known.limits, use.limit).period.total_seconds(),
                    }
                    for use in each.fullest
                    if known is not None
                ],
            }
            for each in overview.authorities
            for known in [authorities.get(each.directory_url)]
        ],
        "first_orders": {
            "waiting": overview.first_orders,
            "until": _last_first_order(overview, authorities),
        },
        "hosts": {
            "total": overview.hosts,
            "silent": overview.silent,
            "silent_longest": overview.silent_hosts,
        },
        "paused_since": halt.paused_since,
        "pause_reason": halt.pause_reason or None,
        "brake_since": halt.brake_since,
        "brake_reason": halt.brake_reason or None,
    }


def _rows(
    overview: FleetOverview, authorities: Mapping[str, FleetAuthority]
) -> Iterator[tuple[str, str]]:
    database, now = overview.database, overview.at
    replication = "asynchronous" if database.replicated else "no standby"
    synchronous = "synchronous" if database.synchronous else replication
    yield "database", f"{database.server}, {synchronous}, schema {database.schema}"
    if overview.cluster:
        yield "cluster", overview.cluster
    yield "gateways", _gateways(overview)
    end = overview.ends_next
    if end is not None:
        failures = f" ({_number(end.failures, 'failure')})" if end.failures else ""
        yield "ends next", f"{end.cluster}/{end.name} {ahead(end.not_after, now)}{failures}"
    yield "due", _due(overview)
    fullest = _fullest(overview, authorities)
    for each in overview.authorities:
        known = authorities.get(each.directory_url)
        parts = list(_authority(each, known, now))
        if fullest is not None and each is fullest[0] and overview.first_orders:
            parts.append(_waiting(overview, authorities))
        yield known.name if known is not None else each.directory_url, " · ".join(parts)
    if fullest is None and overview.first_orders:
        yield "waiting", _waiting(overview, authorities)
    yield "hosts", f"{_hosts(overview)} · {_halt(overview.halt)}"


def _gateways(overview: FleetOverview) -> str:
    counts = [
        f"{overview.states[state]:,} {WORDS.get(state, state)}"
        for state in SHOWN_FIRST
        if overview.states[state]
    ]
    return f"{overview.gateways:,}: {' · '.join(counts)}" if counts else "none"


def _due(overview: FleetOverview) -> str:
    busiest = overview.busiest_day
    today = f"today {overview.due_today:,}"
    return f"{today} · busiest day {busiest[0]}: {busiest[1]:,}" if busiest else today


def _authority(use: AuthorityUse, known: FleetAuthority | None, now: datetime) -> Iterator[str]:
    most = known.most_orders if known is not None else None
    yield f"{use.in_flight:,}{'' if most is None else f' of {most:,}'} in flight"
    if known is not None:
        for each in use.fullest:
            allowance = getattr(known.limits, each.limit)
            below = f" below {each.value}" if each.limit == "certificates" else ""
            yield f"{OF_LIMIT[each.limit]} {each.used:,} of {allowance}{below}"
    if use.not_before is not None:
        yield f"the CA asks to wait until {instant(use.not_before)} ({ahead(use.not_before, now)})"


def _waiting(overview: FleetOverview, authorities: Mapping[str, FleetAuthority]) -> str:
    """Return how many gateways wait for their first order, and until when the last one does."""
    until = _last_first_order(overview, authorities)
    end = f" until {day(until)}" if until is not None else ""
    return f"{overview.first_orders:,} {'waits' if overview.first_orders == 1 else 'wait'}{end}"


def _fullest(
    overview: FleetOverview, authorities: Mapping[str, FleetAuthority]
) -> tuple[AuthorityUse, LimitUse] | None:
    """Return the CA and the group below a domain that has the least left; None without any."""
    groups = [
        (each, use)
        for each in overview.authorities
        for use in each.fullest
        if use.limit == "certificates" and each.directory_url in authorities
    ]
    return min(
        groups,
        key=lambda pair: _count(authorities, *pair) - pair[1].used,
        default=None,
    )


def _count(authorities: Mapping[str, FleetAuthority], each: AuthorityUse, use: LimitUse) -> int:
    return int(getattr(authorities[each.directory_url].limits, use.limit).count)


def _last_first_order(
    overview: FleetOverview, authorities: Mapping[str, FleetAuthority]
) -> datetime | None:
    """Return when the last gateway orders its first certificate if all are in the fullest group.

    None if that leaves room for all of them, or no limit is known to be in use.
    """
    fullest = _fullest(overview, authorities)
    if fullest is None:
        return None
    authority, use = fullest
    allowance = authorities[authority.directory_url].limits.certificates
    assert allowance is not None  # noqa: S101 - the group is one of this limit
    beyond = overview.first_orders - max(0, allowance.count - use.used)
    return overview.at + ceil(beyond / allowance.count) * allowance.period if beyond > 0 else None


def _hosts(overview: FleetOverview) -> str:
    if not overview.silent:
        return f"{overview.hosts:,}, none silent"
    named = [f"{each.cluster}/{each.name}" for each in overview.silent_hosts[:MOST_NAMED]]
    more = f" and {overview.silent - len(named):,} more" if overview.silent > len(named) else ""
    return f"{overview.hosts:,}, {overview.silent:,} silent ({', '.join(named)}{more})"


def _halt(halt: FleetHalt) -> str:
    brake = "brake off"
    if halt.brake_since is not None:
        brake = f"brake since {instant(halt.brake_since)}: {halt.brake_reason}"
    if halt.paused_since is None:
        return brake
    why = f": {halt.pause_reason}" if halt.pause_reason else ""
    return f"paused since {instant(halt.paused_since)}{why} · {brake}"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
