"""Decide which CA to use. Pure: reads no clock, file or socket.

CAs are tried in the order of the configuration. A CA is skipped for the next one

- at once, after a permanent refusal (name, CAA record, profile, account, terms of service), a
  Retry-After, or when its rate limits are used up;
- after the second temporary failure in succession: no answer, a server error or a failed
  validation;
- after the first temporary failure, except a failed validation, if no certificate is usable or the
  one in use is about to end.

It is tried again at its Retry-After, a day after a permanent refusal, and otherwise after one, two,
four … hours, at most a day. The Retry-After of one CA does not delay the others. A local problem (a
port in use, a full disk) would affect every CA and skips none. If all are skipped, the first one to
become available is tried, of those without a Retry-After. If it is urgent, all of those are tried,
and none is skipped for more than a day. ``due`` decides the delays between attempts.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.errors import (
    ACMEError,
    AuthorityError,
    CertificateError,
    ChallengeFailedError,
    InterruptedOrderError,
    RateLimitBudgetError,
    RateLimitedError,
)
from gatecert.model import AuthorityFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.errors import GatecertError

FAILURES_BEFORE_SKIP = 2  # temporary failures in succession
SHORTEST_SKIP = timedelta(hours=1)
LONGEST_SKIP = timedelta(days=1)

# RFC 8555 section 6.7: errors that a repeated request does not change.
REFUSALS = {
    "accountDoesNotExist",
    "badPublicKey",
    "badSignatureAlgorithm",
    "caa",
    "externalAccountRequired",
    "invalidContact",
    "invalidProfile",
    "rejectedIdentifier",
    "unauthorized",
    "unsupportedContact",
    "unsupportedIdentifier",
    "userActionRequired",
}


def authorities_to_try(
    names: Sequence[str],
    recorded: Sequence[AuthorityFailure],
    now: datetime,
    *,
    urgent: bool = False,
) -> tuple[str, ...]:
    """Return the CAs to try now, in this order.

    Args:
        names: The configured CAs, in order; at least one.
        recorded: Their recorded failures.
        now: Aware UTC.
        urgent: True without a certificate to go on with.
    """
    available = {name: _available_at(name, recorded, now, urgent=urgent) for name in names}
    usable = [name for name in names if available[name] <= now]
    failing = [
        name for name in names if name not in usable and _fails_temporarily(name, recorded, now)
    ]
    failing.sort(key=lambda name: available[name])
    if urgent and (usable or failing):
        return (*usable, *failing)
    return tuple(usable) or (min(failing or names, key=lambda name: available[name]),)


def skipped_until(
    name: str, recorded: Sequence[AuthorityFailure], now: datetime
) -> datetime | None:
    """Return until when a CA is skipped; None if it is not."""
    record = recorded_failure(name, recorded, now)
    if record is None or record.left_until is None or record.left_until <= now:
        return None
    return record.left_until


def next_available(
    names: Sequence[str],
    recorded: Sequence[AuthorityFailure],
    now: datetime,
    *,
    urgent: bool = False,
) -> datetime:
    """Return when the first of several CAs is available; ``now`` if one is not skipped.

    Args:
        names: The configured CAs; at least one.
        recorded: Their recorded failures.
        now: Aware UTC.
        urgent: True without a certificate to go on with; then a CA with temporary failures is
            available at any time.
    """
    if urgent and any(_fails_temporarily(name, recorded, now) for name in names):
        return now
    return min(_available_at(name, recorded, now, urgent=urgent) for name in names)


def recorded_failure(
    name: str, recorded: Sequence[AuthorityFailure], now: datetime
) -> AuthorityFailure | None:
    """Return the recorded failures of a CA; None if the clock was set back since."""
    return next((each for each in recorded if each.name == name and each.at <= now), None)


def after_failure(
    recorded: Sequence[AuthorityFailure],
    name: str,
    error: GatecertError,
    now: datetime,
    *,
    urgent: bool = False,
) -> tuple[AuthorityFailure, ...]:
    """Return the recorded failures after another one.

    Args:
        recorded: The recorded failures so far.
        name: The CA that failed.
        error: Its failure.
        now: Aware UTC.
        urgent: True without a certificate to go on with.
    """
    if not _is_caused_by_authority(error):
        return tuple(recorded)
    before = recorded_failure(name, recorded, now)
    waits = isinstance(error, RateLimitBudgetError)
    failures = (before.failures if before is not None else 0) + (0 if waits else 1)
    calm = not urgent or isinstance(error, ChallengeFailedError)
    allowed = FAILURES_BEFORE_SKIP if calm else 1
    record = AuthorityFailure(
        name=name,
        at=now,
        failures=failures,
        left_until=_skip_until(error, failures - allowed, now),
        fails=_is_temporary(error),
        reason=error.message,
        fix=error.fix,
        validation_failed=before is not None and before.validation_failed
        if waits
        else isinstance(error, ChallengeFailedError),
    )
    return (*after_success(recorded, name), record)


def after_success(recorded: Sequence[AuthorityFailure], name: str) -> tuple[AuthorityFailure, ...]:
    """Return the recorded failures without those of a CA that has issued."""
    return tuple(each for each in recorded if each.name != name)


def _is_caused_by_authority(error: GatecertError) -> bool:
    kinds = (AuthorityError, CertificateError)
    return isinstance(error, kinds) and not isinstance(error, InterruptedOrderError)


def _available_at(
    name: str, recorded: Sequence[AuthorityFailure], now: datetime, *, urgent: bool
) -> datetime:
    """Return when a CA is available; ``now`` if it is."""
    until = skipped_until(name, recorded, now)
    record = recorded_failure(name, recorded, now)
    if until is None or record is None:
        return now
    return max(now, min(until, record.at + LONGEST_SKIP)) if urgent else until


def _fails_temporarily(name: str, recorded: Sequence[AuthorityFailure], now: datetime) -> bool:
    """Tell whether a CA is skipped because of temporary failures."""
    record = recorded_failure(name, recorded, now)
    return record is not None and record.fails


def _skip_until(error: GatecertError, beyond: int, now: datetime) -> datetime | None:
    """Return until when to skip a CA.

    Args:
        error: Its last failure.
        beyond: Failures beyond the first one that causes a skip.
        now: Aware UTC.
    """
    if isinstance(error, RateLimitBudgetError):
        return error.until
    retry_after = _retry_after(error)
    skip = _skip_time(error, beyond)
    if skip is None:
        return retry_after
    return max(retry_after or now, now + skip)


def _retry_after(error: GatecertError) -> datetime | None:
    """Return the Retry-After of a CA."""
    return error.retry_after if isinstance(error, ACMEError) else None


def _is_temporary(error: GatecertError) -> bool:
    """Tell whether an error is neither permanent nor carries a Retry-After."""
    says_when = isinstance(error, RateLimitBudgetError | RateLimitedError)
    return not says_when and _retry_after(error) is None and not _is_permanent(error)


def _skip_time(error: GatecertError, beyond: int) -> timedelta | None:
    """Return for how long to skip a CA at least; None if it is not skipped."""
    if isinstance(error, RateLimitedError):
        return SHORTEST_SKIP
    if _is_permanent(error):
        return LONGEST_SKIP
    if beyond < 0:
        return None
    return min(SHORTEST_SKIP * (1 << min(beyond, 10)), LONGEST_SKIP)


def _is_permanent(error: GatecertError) -> bool:
    if isinstance(error, ChallengeFailedError):
        return error.problem_type == "caa"
    if isinstance(error, ACMEError):
        return not error.retryable or error.problem_type in REFUSALS
    # A plain AuthorityError means that the configuration does not fit the CA.
    return not error.retryable or type(error) is AuthorityError
