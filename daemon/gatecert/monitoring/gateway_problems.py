"""The problems of a gateway that a receiver of notifications can be told of. Pure.

=====================  ========  ================================================================
event                  severity  holds while
=====================  ========  ================================================================
failed                 warning   attempts failed as often in a row as the receiver's ``failures``,
                                 or the status could not be read as often
not-served             critical  a listener serves another certificate, or none answers
rolled-back            warning   the last deployment was rolled back
drift                  critical  a listener serves another certificate than it was proven to serve
name-moved             warning   the name pointed at the gateway, and points elsewhere now
ends-soon              warning   a certificate ends within ``ends_within``; see `_soon`
revoked                critical  the CA has revoked the certificate
budget-spent           warning   the rate limits of every CA are used up
client-authority-ends  warning   a client CA ends within ``ends_within``
=====================  ========  ================================================================

A bootstrap certificate never ends soon: why there is no better one is what matters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gatecert.errors import RateLimitBudgetError, clean
from gatecert.model import Event, Mode, OutcomeKind, Severity
from gatecert.report.attention import SELF_SIGNED, advice, attempts, unread
from gatecert.report.gateway_status import SENTENCES, Condition
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from gatecert.model import ReceiverPlan
    from gatecert.report.gateway_status import GatewayStatus

SEVERITIES: Final = {
    Event.FAILED: Severity.WARNING,
    Event.NOT_SERVED: Severity.CRITICAL,
    Event.ROLLED_BACK: Severity.WARNING,
    Event.DRIFT: Severity.CRITICAL,
    Event.NAME_MOVED: Severity.WARNING,
    Event.ENDS_SOON: Severity.WARNING,
    Event.REVOKED: Severity.CRITICAL,
    Event.BUDGET_SPENT: Severity.WARNING,
    Event.CLIENT_AUTHORITY_ENDS: Severity.WARNING,
}
UNSERVED: Final = {Condition.NOT_SERVED, Condition.MIXED, Condition.SILENT}
WORSE: Final = {Condition.EXPIRED, Condition.REVOKED}  # which a status shows instead of them
DEPLOYED: Final = {
    OutcomeKind.DEPLOYED,
    OutcomeKind.ENROLLED,
    OutcomeKind.IMPORTED,
    OutcomeKind.RENEWED,
}
SHORTEST_PART: Final = 5  # of a lifetime; nearer to its end than a fifth is soon
CRITICAL_PART: Final = 4  # of that time; nearer than a quarter is critical


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem that holds now.

    Attributes:
        text: One line: what is wrong.
        fix: What to do; empty if nothing.
        code: Code of the error behind it, as in ``gatecert doctor``; empty without one.
    """

    event: Event
    severity: Severity
    text: str
    fix: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Past:
    """Earlier condition of a gateway, as far as a problem depends on it.

    Attributes:
        proven: Fingerprint of the certificate that its listeners were last proven to serve.
        pointed_here: Whether its names have pointed at it.
        hostname: The first of these names; empty if an earlier version did not record it.
    """

    proven: str = ""
    pointed_here: bool = False
    hostname: str = ""

    def with_status(self, status: GatewayStatus) -> Past:
        """Return the past of the next status."""
        return Past(
            status.fingerprint if status.served else self.proven,
            status.points_here is True or self.has_pointed_here(status.hostname),
            status.hostname,
        )

    def has_pointed_here(self, hostname: str) -> bool:
        """Tell whether this name pointed here; one that was configured before does not count."""
        return self.pointed_here and self.hostname in {"", hostname}


def problems(
    status: GatewayStatus, past: Past, plan: ReceiverPlan, now: datetime
) -> dict[Event, Problem]:
    """Return the problems of a gateway, by event.

    Args:
        status: Its status.
        past: What it was like before.
        plan: Gives the thresholds; its events and its severity are not looked at.
        now: The current time.
    """
    found = (
        *_failed(status, plan, now),
        *_unserved(status, past),
        *_rolled_back(status),
        *_name_moved(status, past),
        *_ends_soon(status, plan, now),
        *_revoked(status),
        *_budget_spent(status),
        *_client_authority_ends(status, plan, now),
    )
    return {problem.event: problem for problem in found}


def is_unknown(event: Event, status: GatewayStatus, past: Past) -> bool:
    """Tell whether a status leaves open if a problem holds: one that is known is not over then."""
    return (
        event is Event.NAME_MOVED
        and status.points_here is None
        and status.is_looked_up
        and status.mode is Mode.AUTOMATIC
        and past.has_pointed_here(status.hostname)
    )


def next_change(status: GatewayStatus, plan: ReceiverPlan, now: datetime) -> datetime | None:
    """Return when time alone makes a problem begin or become worse; None if it does not."""
    clients = status.client_authentication
    lifetimes = [] if _is_bootstrap(status) else _lifetimes(status)
    if clients is not None:
        lifetimes += [(each.not_before, each.not_after) for each in clients.authorities]
    soon = [(end, _soon(begin, end, plan.ends_within)) for begin, end in lifetimes]
    instants = [end - left for end, within in soon for left in (within, within / CRITICAL_PART)]
    return min((each for each in instants if each > now), default=None)


def _failed(status: GatewayStatus, plan: ReceiverPlan, now: datetime) -> Iterator[Problem]:
    """Find attempts that failed, or that a check prevented, often enough; or an unknown status."""
    error = status.last_error
    if status.read_failures >= plan.failures:
        yield _problem(Event.FAILED, replace(status, last_error=status.read_error), unread(status))
        return
    if status.state in UNSERVED and status.failures < plan.failures:
        return  # of the deployment
    if max(status.failures, _prevented(status)) < plan.failures:
        return
    often = attempts(replace(status, next_at=None), now)
    reason = error.message if error is not None else ""
    words = ": ".join(part for part in (often, reason) if part) or SENTENCES[status.state]
    yield _problem(Event.FAILED, status, words)


def _prevented(status: GatewayStatus) -> int:
    """Return how often in a row a pass failed without an attempt at a CA."""
    number = 0
    for outcome in status.history:
        if outcome.kind is not OutcomeKind.FAILED:
            break
        number += outcome.times
    return number


def _unserved(status: GatewayStatus, past: Past) -> Iterator[Problem]:
    state, words = status.state, status.served_detail
    if state in WORSE and status.served is False:
        state = Condition.NOT_SERVED if words else Condition.SILENT
    elif state not in UNSERVED:
        return
    elif not words and status.last_error is not None:
        words = status.last_error.message
    words = words or SENTENCES[state]
    was_served = bool(past.proven) and past.proven == status.fingerprint
    if was_served and state is not Condition.SILENT:
        yield _problem(Event.DRIFT, status, f"{words}; it served its certificate before")
    else:
        yield _problem(Event.NOT_SERVED, status, words)


def _rolled_back(status: GatewayStatus) -> Iterator[Problem]:
    for outcome in status.history:
        if outcome.kind in DEPLOYED:
            return
        if outcome.kind is OutcomeKind.ROLLED_BACK:
            yield replace(_problem(Event.ROLLED_BACK, status, outcome.detail), code=outcome.code)
            return


def _name_moved(status: GatewayStatus, past: Past) -> Iterator[Problem]:
    if status.points_here is not False or not past.has_pointed_here(status.hostname):
        return
    words = f"{status.hostname} no longer points at this gateway"
    error = status.last_error
    if error is not None and error.code.startswith("name-"):
        words = f"{words}: {error.message}"
    yield _problem(Event.NAME_MOVED, status, words)


def _ends_soon(status: GatewayStatus, plan: ReceiverPlan, now: datetime) -> Iterator[Problem]:
    if _is_bootstrap(status):
        return
    known = _lifetimes(status)
    if not known:
        return
    begin, end = min(known, key=lambda each: each[1])
    severity = _ending(begin, end, plan.ends_within, now)
    if severity is not None:
        words = f"the certificate {_end(end, now)}"
        yield replace(_problem(Event.ENDS_SOON, status, words), severity=severity)


def _lifetimes(status: GatewayStatus) -> list[tuple[datetime, datetime]]:
    """Return begin and end of each certificate that is in use."""
    found = [(status.not_before, status.not_after)]
    if status.second is not None:
        found.append((status.second.not_before, status.second.not_after))
    return [(begin, end) for begin, end in found if begin is not None and end is not None]


def _revoked(status: GatewayStatus) -> Iterator[Problem]:
    revocation = status.revocation
    if status.state is not Condition.REVOKED and not (revocation and revocation.revoked):
        return
    words = SENTENCES[Condition.REVOKED]
    if revocation is not None and revocation.revoked_at is not None:
        words = f"{words} on {instant(revocation.revoked_at)} ({revocation.reason})"
    yield _problem(Event.REVOKED, status, words)


def _budget_spent(status: GatewayStatus) -> Iterator[Problem]:
    error = status.last_error
    if error is not None and error.code == RateLimitBudgetError.code:
        yield _problem(Event.BUDGET_SPENT, status, error.message)


def _client_authority_ends(
    status: GatewayStatus, plan: ReceiverPlan, now: datetime
) -> Iterator[Problem]:
    clients = status.client_authentication
    if clients is None or not clients.authorities:
        return
    first = min(clients.authorities, key=lambda each: each.not_after)
    severity = _ending(first.not_before, first.not_after, plan.ends_within, now)
    if severity is not None:
        yield Problem(
            Event.CLIENT_AUTHORITY_ENDS,
            severity,
            clean(f"the client CA {first.subject} {_end(first.not_after, now)}"),
            f"add a newer one: gatecert client-ca add {status.name} FILE",
        )


def _ending(begin: datetime, end: datetime, within: timedelta, now: datetime) -> Severity | None:
    """Return how bad it is that something ends; None if that is far away.

    A quarter of the time that is soon before the end, it is critical.
    """
    soon, left = _soon(begin, end, within), end - now
    if left > soon:
        return None
    return Severity.CRITICAL if left <= soon / CRITICAL_PART else Severity.WARNING


def _soon(begin: datetime, end: datetime, within: timedelta) -> timedelta:
    """Return how long before its end something ends soon.

    That is at most a fifth of its lifetime, so that a certificate for six days is not always about
    to end.
    """
    return min(within, (end - begin) / SHORTEST_PART)


def _end(end: datetime, now: datetime) -> str:
    return f"{'ends' if end > now else 'ended'} on {instant(end)}"


def _is_bootstrap(status: GatewayStatus) -> bool:
    unissued = status.mode is Mode.AUTOMATIC and not status.authority
    return status.state in SELF_SIGNED or (status.state in UNSERVED and unissued)


def _problem(event: Event, status: GatewayStatus, words: str) -> Problem:
    """Return a problem with the advice and the code of the status."""
    error = status.last_error
    fix = error.fix if error is not None and error.fix else advice(status)
    return Problem(
        event,
        SEVERITIES[event],
        clean(words),
        clean(fix or f"gatecert doctor {status.name}"),
        error.code if error is not None else "",
    )
