"""Which authority is asked? Pure: nothing here reads a clock, a file or a socket.

Authorities are asked in the order of the configuration. One of them is left for the next

- at once when it refuses for good what no waiting will change: the name, a CAA record, the profile,
  the account, its terms; or when it says itself that it wants to be asked later, or its limits do;
- after the second temporary failure in succession: no answer, trouble of its own, a validation
  that failed;
- where no certificate can be used, or the one in use is about to end, after the first failure,
  unless that was a validation: there is nothing to be calm about.

It is asked again when it said so, after a day where it refused for good, and else after an hour,
two, four … at most a day. The time that one of them asked for holds back none of the others. What
is the gateway's own trouble (a port that is taken, a full disk) would be no better elsewhere, and
moves nothing. Where all were left, the one that comes back first is asked, of those that did not
ask for the time; where it is urgent, each of those, and nobody is left for more than a day. The
pauses between attempts are decided in ``due``.
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

# RFC 8555 section 6.7: what an authority says again however often it is asked.
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
    troubles: Sequence[AuthorityFailure],
    now: datetime,
    *,
    urgent: bool = False,
) -> tuple[str, ...]:
    """The authorities to ask now, one after the other as each is left.

    Args:
        names: All that may be asked, in the order of the configuration; at least one.
        troubles: What there was with them.
        now: Aware UTC.
        urgent: Whether there is no certificate to go on with.
    """
    available = {name: _available_at(name, troubles, now, urgent=urgent) for name in names}
    usable = [name for name in names if available[name] <= now]
    failing = [
        name for name in names if name not in usable and _fails_temporarily(name, troubles, now)
    ]
    failing.sort(key=lambda name: available[name])
    if urgent and (usable or failing):
        return (*usable, *failing)
    return tuple(usable) or (min(failing or names, key=lambda name: available[name]),)


def skipped_until(
    name: str, troubles: Sequence[AuthorityFailure], now: datetime
) -> datetime | None:
    """Until when an authority was left; None where it was not, or is back."""
    trouble = current_trouble(name, troubles, now)
    if trouble is None or trouble.left_until is None or trouble.left_until <= now:
        return None
    return trouble.left_until


def next_available(
    names: Sequence[str],
    troubles: Sequence[AuthorityFailure],
    now: datetime,
    *,
    urgent: bool = False,
) -> datetime:
    """When any of several authorities may be asked again; ``now`` where one of them was not left.

    Args:
        names: All that may be asked; at least one.
        troubles: What there was with them.
        now: Aware UTC.
        urgent: Whether there is no certificate to go on with; then one that merely fails may be
            asked at any time.
    """
    if urgent and any(_fails_temporarily(name, troubles, now) for name in names):
        return now
    return min(_available_at(name, troubles, now, urgent=urgent) for name in names)


def current_trouble(
    name: str, troubles: Sequence[AuthorityFailure], now: datetime
) -> AuthorityFailure | None:
    """The trouble there was with an authority; none from under a clock that has been set back."""
    return next((each for each in troubles if each.name == name and each.at <= now), None)


def after_failure(
    troubles: Sequence[AuthorityFailure],
    name: str,
    error: GatecertError,
    now: datetime,
    *,
    urgent: bool = False,
) -> tuple[AuthorityFailure, ...]:
    """What there is with the authorities after one of them has failed.

    Args:
        troubles: What there was with them before.
        name: Which of them has failed.
        error: How.
        now: Aware UTC.
        urgent: Whether there is no certificate to go on with.
    """
    if not _is_caused_by_authority(error):
        return tuple(troubles)
    before = current_trouble(name, troubles, now)
    waits = isinstance(error, RateLimitBudgetError)
    failures = (before.failures if before is not None else 0) + (0 if waits else 1)
    calm = not urgent or isinstance(error, ChallengeFailedError)
    allowed = FAILURES_BEFORE_SKIP if calm else 1
    trouble = AuthorityFailure(
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
    return (*after_success(troubles, name), trouble)


def after_success(troubles: Sequence[AuthorityFailure], name: str) -> tuple[AuthorityFailure, ...]:
    """The same without the trouble with an authority that has issued."""
    return tuple(each for each in troubles if each.name != name)


def _is_caused_by_authority(error: GatecertError) -> bool:
    kinds = (AuthorityError, CertificateError)
    return isinstance(error, kinds) and not isinstance(error, InterruptedOrderError)


def _available_at(
    name: str, troubles: Sequence[AuthorityFailure], now: datetime, *, urgent: bool
) -> datetime:
    """When an authority may be asked again; ``now`` where it may."""
    until = skipped_until(name, troubles, now)
    trouble = current_trouble(name, troubles, now)
    if until is None or trouble is None:
        return now
    return max(now, min(until, trouble.at + LONGEST_SKIP)) if urgent else until


def _fails_temporarily(name: str, troubles: Sequence[AuthorityFailure], now: datetime) -> bool:
    """Whether an authority was left only because it fails for the time being."""
    trouble = current_trouble(name, troubles, now)
    return trouble is not None and trouble.fails


def _skip_until(error: GatecertError, beyond: int, now: datetime) -> datetime | None:
    """Until when an authority is left.

    Args:
        error: What it did last.
        beyond: How many failures there were beyond the one for which it is left.
        now: Aware UTC.
    """
    if isinstance(error, RateLimitBudgetError):
        return error.until
    asked_for = _retry_after(error)
    skip = _skip_time(error, beyond)
    if skip is None:
        return asked_for
    return max(asked_for or now, now + skip)


def _retry_after(error: GatecertError) -> datetime | None:
    """When an authority itself wants to be asked again."""
    return error.retry_after if isinstance(error, ACMEError) else None


def _is_temporary(error: GatecertError) -> bool:
    """Whether an authority neither refuses for good nor wants to be asked later."""
    says_when = isinstance(error, RateLimitBudgetError | RateLimitedError)
    return not says_when and _retry_after(error) is None and not _is_permanent(error)


def _skip_time(error: GatecertError, beyond: int) -> timedelta | None:
    """How long an authority is left at least; None where it need not be."""
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
    # An AuthorityError of no further kind says that what is configured does not fit the authority.
    return not error.retryable or type(error) is AuthorityError
