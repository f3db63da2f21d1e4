"""Schedule of a certificate's revocation checks. Pure.

- The CRLs are checked every four to six hours, at a random moment, so that gateways do not all come
  at once; the first time within an hour after the certificate was installed.
- If the CRL ends sooner, it is checked after its end, again at a random moment.
- A failed check is repeated after about an hour, then two, four … but never later than usual.
- A revoked certificate is not checked again, unless it is only on hold (certificateHold).
- An instant stored under a clock that has since been set back does not count.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from gatecert.model import CertificateSummary, EnrolmentState, RevocationState

MIN_INTERVAL = timedelta(hours=4)
MAX_INTERVAL = timedelta(hours=6)
FIRST_INTERVAL = timedelta(hours=1)
RETRY = timedelta(hours=1)
RETRY_JITTER = 0.2


def revoked_state_of(
    enrolment: EnrolmentState, certificate: CertificateSummary | None
) -> RevocationState | None:
    """Return the revocation state of a revoked certificate; None if it is not revoked."""
    found = enrolment.revocation_of(certificate)
    return found if found is not None and found.revoked is not None else None


def must_change_key(enrolment: EnrolmentState, certificate: CertificateSummary) -> bool:
    """Check whether the next certificate needs another key."""
    revocation_state = revoked_state_of(enrolment, certificate)
    return revocation_state is not None and revocation_state.new_key


def is_due(revocation_state: RevocationState, now: datetime) -> bool:
    """Check whether a revocation check is due."""
    return not now < revocation_state.next_look <= now + MAX_INTERVAL


def next_check(
    now: datetime, random: Random, *, failures: int = 0, ends: datetime | None = None
) -> datetime:
    """Return the time of the next check.

    Args:
        now: The time of the last check.
        random: Source of jitter.
        failures: Consecutive failed checks.
        ends: The CRL's nextUpdate.
    """
    interval = MIN_INTERVAL + (MAX_INTERVAL - MIN_INTERVAL) * random.random()
    if failures:
        jitter = 1 + random.uniform(-RETRY_JITTER, RETRY_JITTER)
        interval = min(interval, RETRY * jitter * 2 ** min(failures - 1, 10))
    elif ends is not None and ends > now:
        jitter = 1 + random.uniform(0, RETRY_JITTER)
        interval = min(interval, max(ends - now, RETRY) * jitter)
    return now + interval


def first_check(now: datetime, random: Random) -> datetime:
    """Return the time of the first check."""
    return now + FIRST_INTERVAL * random.random()
