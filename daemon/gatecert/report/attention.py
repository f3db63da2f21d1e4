"""Choose what of a gateway's status matters most to a person: one fact, and what to do. Pure.

`gatecert.report.status_list` shows these; `gatecert.report.gateway_status` has all facts.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from gatecert.model import Action, Mode
from gatecert.report.gateway_status import SENTENCES, Condition
from gatecert.time_format import ago, ahead

if TYPE_CHECKING:
    from datetime import datetime

    from gatecert.report.gateway_status import GatewayStatus, LastError

NO_ACTION = "no action needed"  # begins the fix of what passes by itself


class Level(IntEnum):
    """The degree to which a gateway needs a person, the worst first.

    FAILED: clients get no valid certificate, or not the installed one. WARNING: it works or waits,
    until a person acts. NEUTRAL: nothing to do, but not trusted and proven (yet).
    """

    FAILED = 0
    WARNING = 1
    NEUTRAL = 2
    GOOD = 3

    @property
    def needs_a_person(self) -> bool:
        """True if there is something to do."""
        return self <= Level.WARNING


FAILED = {
    Condition.EMPTY,
    Condition.EXPIRED,
    Condition.FAILING,
    Condition.MIXED,
    Condition.NOT_SERVED,
    Condition.REVOKED,
    Condition.SILENT,
}
SELF_SIGNED = {Condition.BOOTSTRAP, Condition.WAITING, Condition.FAILING, Condition.SKIPPED}
PROVEN = {Condition.TRUSTED, Condition.PRIVATE_ROOT}


def level(one: GatewayStatus) -> Level:
    """Return how much a gateway needs a person."""
    if one.state in FAILED:
        return Level.FAILED
    fails = error_to_fix(one) is not None or (one.failures and one.last_error is None)
    if fails or one.warning or client_problem(one):
        return Level.WARNING
    return Level.GOOD if one.state in PROVEN else Level.NEUTRAL


def fact(one: GatewayStatus, now: datetime) -> str:
    """Return the one fact that matters most now."""
    error, reason = one.last_error, _reason(one)
    match one.state:
        case Condition.EMPTY:
            found = reason or SENTENCES[one.state]
        case Condition.SKIPPED:
            found = one.detail.partition(";")[0]
        case Condition.EXPIRED if one.not_after is not None:
            found = _joined(f"expired {ago(one.not_after, now)}", reason)
        case Condition.REVOKED:
            found = _joined(_revoked(one, now), reason)
        case Condition.NOT_SERVED | Condition.MIXED | Condition.SILENT:
            found = one.served_detail or reason
        case _ if one.read_error is not None:
            found = unread(one)
        case _ if one.failures or error is not None:
            found = _attempts(one, now)
        case _:
            found = one.warning or client_problem(one) or next_step(one, now)
    return found or SENTENCES[one.state]


def advice(one: GatewayStatus) -> str:
    """Return what to do; empty if nothing."""
    if not level(one).needs_a_person:
        return ""
    error = error_to_fix(one)
    if error is not None and error.fix:
        return error.fix
    if one.warning:
        return one.warning_fix
    if one.state is Condition.EMPTY:
        return f"start the daemon, or: gatecert enroll {one.name}"
    return f"gatecert doctor {one.name}"


def error_to_fix(one: GatewayStatus) -> LastError | None:
    """Return why the status cannot be read, or the last error; None if it passes by itself."""
    error = one.read_error or one.last_error
    return None if error is not None and error.fix.startswith(NO_ACTION) else error


def client_problem(one: GatewayStatus) -> str:
    """Return the first problem of client authentication; empty if there is none."""
    clients = one.client_authentication
    if clients is None:
        return ""
    return clients.error or next(iter(clients.warnings), "")


def next_step(one: GatewayStatus, now: datetime) -> str:
    """Return what happens next, and when; empty if nothing does."""
    action = next_action(one)
    if one.mode is Mode.CUSTOM and one.not_after is not None and action is not Action.DEPLOY:
        return f"expires {ahead(one.not_after, now)}"
    if one.next_at is None or action is Action.NONE:
        return ""
    return f"{step_words(one)} {ahead(one.next_at, now)}"


def next_action(one: GatewayStatus) -> Action:
    """Return the next action."""
    return Action(one.next_action.partition(":")[0])


def step_words(one: GatewayStatus) -> str:
    """Return the next action in words that go before its time."""
    match next_action(one):
        case Action.ENROL:
            return "enrols" if one.state in SELF_SIGNED else "renews"
        case Action.DEPLOY:
            return "next proof"
        case Action.BOOTSTRAP:
            return "new bootstrap certificate"
        case _:
            return "next check"


def attempts(one: GatewayStatus, now: datetime, *, exact: bool = False) -> str:
    """Return how often enrolment failed, and when the next attempt is; empty without failures."""
    if not one.failures:
        return ""
    what = "enrolment" if one.state in SELF_SIGNED else "renewal"
    again = ""
    if one.next_at is not None and next_action(one) is Action.ENROL:
        again = f", next attempt {ahead(one.next_at, now, exact=exact)}"
    return f"{what} failed {_times(one.failures)}{again}"


def unread(one: GatewayStatus) -> str:
    """Return how often the status could not be read, and why; empty if it could."""
    if one.read_error is None:
        return ""
    return f"its status could not be read {_times(one.read_failures)}: {one.read_error.message}"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _attempts(one: GatewayStatus, now: datetime) -> str:
    """Return the failed attempts and why the last one failed."""
    end = ""
    if one.not_after is not None and one.state not in SELF_SIGNED and one.failures:
        end = f", expires {ahead(one.not_after, now)}"
    return _joined(f"{attempts(one, now)}{end}", _reason(one))


def _reason(one: GatewayStatus) -> str:
    return one.last_error.message if one.last_error is not None else ""


def _revoked(one: GatewayStatus, now: datetime) -> str:
    revocation = one.revocation
    if revocation is None or revocation.revoked_at is None:
        return SENTENCES[Condition.REVOKED]
    return f"revoked {ago(revocation.revoked_at, now)} ({revocation.reason})"


def _joined(*parts: str) -> str:
    return ": ".join(part for part in parts if part)
