"""The consequences of a failed attempt to enrol: how long the next one waits, and why.

A disk that cannot be written is not a failed attempt: the pass is repeated soon, and enrolment
continues where it was. Neither is an obstacle that a check finds before an order, nor an order that
another host places or that waits for its turn in the fleet, nor one for which the fleet's database
would be needed. With several authorities, the pass waits for none while another may be asked.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from gatecert.challenge.challenge_order import with_failures
from gatecert.errors import (
    ACMEError,
    ChallengeError,
    ChallengeFailedError,
    InferiorCertificateError,
    OrderHeldError,
    StorageError,
    UserActionRequiredError,
)
from gatecert.model import OrderBlocker, OutcomeKind
from gatecert.schedule.due import (
    effective_retry_after,
    is_urgent,
    next_attempt,
    next_obstruction_check,
    worse_certificate_pause,
)
from gatecert.schedule.failover import next_available

if TYPE_CHECKING:
    from datetime import datetime

    from gatecert.doctor.finding import Finding
    from gatecert.errors import (
        DatabaseError,
        GatecertError,
        LeaseLostError,
        RateLimitBudgetError,
    )
    from gatecert.lifecycle.gateway_pass import Pass
    from gatecert.model import EnrolmentState, Outcome

ORDER_PAUSE = timedelta(minutes=1)  # half of what a host that was lost holds a lease for
USER_ACTION_PAUSE = timedelta(days=1)  # an operator who acts earlier runs gatecert enroll --force


def failure(current: Pass, error: GatecertError) -> Outcome:
    """Count a failed attempt and set the instant of the next one."""
    failed = current.outcome(OutcomeKind.FAILED, error.message, code=error.code, fix=error.fix)
    if isinstance(error, StorageError):
        current.hold_back()
        return failed
    known, now, not_after = current.last_known, failed.at, _expiry(current)
    enrolment = known.enrolment
    not_before = _not_before(error, now, not_after)
    at = next_attempt(
        enrolment.failures + 1,
        now=now,
        random=current.random,
        not_after=not_after,
        retry_after=_or_next_authority(current, enrolment, not_before) if not_before else None,
    )
    attempts = error.attempts if isinstance(error, ChallengeError | ChallengeFailedError) else ()
    enrolment = replace(
        enrolment,
        failures=enrolment.failures + 1,
        failed_at=now,
        next_attempt=at,
        challenge_failures=with_failures(enrolment.challenge_failures, attempts, now=now),
    )
    current.save(replace(known, enrolment=enrolment))
    return failed


def obstructed(current: Pass, finding: Finding, again: timedelta) -> Outcome:
    """Record what makes an order certain to fail; no attempt was made, so none is counted.

    Args:
        current: The pass.
        finding: What the check found.
        again: How long until the check is repeated.
    """
    now, in_use = current.now(), current.in_use
    not_after = in_use.not_after if in_use is not None else None
    until = next_obstruction_check(again, now=now, not_after=not_after)
    current.update_host(obstruction=OrderBlocker(finding.code, now, until))
    detail = f"{finding.seen}; {finding.meaning}"
    return current.outcome(OutcomeKind.FAILED, detail, code=finding.code, fix=finding.fix)


def not_ordered(current: Pass, error: LeaseLostError | OrderHeldError | DatabaseError) -> Outcome:
    """Leave the order for a minute, or as long as the fleet says; that is no failed attempt.

    Another host orders, other orders go first, or the database in which hosts share their orders
    cannot be used.
    """
    now = current.now()
    until = error.until if isinstance(error, OrderHeldError) else now + ORDER_PAUSE
    current.update_host(obstruction=OrderBlocker(error.code, now, until))
    kind = OutcomeKind.WAITING if error.retryable else OutcomeKind.FAILED
    return current.outcome(kind, error.message, code=error.code, fix=error.fix)


def postponed(current: Pass, error: RateLimitBudgetError) -> Outcome:
    """Wait until a rate limit allows the next order, which is no failure."""
    now, at = current.now(), _or_next_authority(current, current.state.enrolment, error.until)
    if at != error.until:
        end = _expiry(current)
        soon = next_attempt(1, now=now, random=current.random, not_after=end)
        at = min(error.until, max(effective_retry_after(at, now, end), soon))
    current.update_enrolment(failed_at=now, next_attempt=at)
    return current.outcome(OutcomeKind.WAITING, error.message, code=error.code, fix=error.fix)


def _not_before(error: GatecertError, now: datetime, not_after: datetime | None) -> datetime | None:
    """Return the instant before which another attempt fails for certain, or is unwelcome."""
    if isinstance(error, InferiorCertificateError):  # the CA issues those and counts them
        return now + worse_certificate_pause(now, not_after)
    if isinstance(error, UserActionRequiredError):
        return max(now + USER_ACTION_PAUSE, error.retry_after or now)
    return error.retry_after if isinstance(error, ACMEError) else None


def _or_next_authority(current: Pass, enrolment: EnrolmentState, until: datetime) -> datetime:
    """Return the instant that an authority asked for, or an earlier one if another may be asked."""
    names = current.authorities
    if len(names) <= 1:
        return until
    try:
        urgent = is_urgent(current.situation, current.now())
    except StorageError:
        urgent = False
    return min(until, next_available(names, enrolment.troubles, current.now(), urgent=urgent))


def _expiry(current: Pass) -> datetime | None:
    """Return when the certificate in use expires; None if there is none, or nothing is known."""
    try:
        in_use = current.in_use
    except StorageError:
        return None
    return in_use.not_after if in_use is not None else None
