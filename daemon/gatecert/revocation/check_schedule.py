"""When is a certificate's revocation looked for, and what follows from it? Pure.

- Its authority's lists are looked at every few hours, at a random moment, so that the gateways of
  the world do not come all at once; the first time within the hour after it was put in place.
- A look that told nothing is repeated after an hour or so, two, four … never later than usual.
- A certificate that was revoked is not looked at again, unless it is only held.
- An instant that was remembered under a clock that has since been set back counts for nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.model import CertificateSummary, GatewayState, RevocationReason, RevocationState

if TYPE_CHECKING:
    from random import Random

SHORTEST_REST = timedelta(hours=4)
LONGEST_REST = timedelta(hours=6)
FIRST_REST = timedelta(hours=1)
RETRY = timedelta(hours=1)
RETRY_JITTER = 0.2


def revocation_state_of(
    state: GatewayState, certificate: CertificateSummary | None
) -> RevocationState | None:
    """What is known of the revocation of this certificate; None where nothing is."""
    return state.revocation_of(certificate) if certificate is not None else None


def revoked_state_of(
    state: GatewayState, certificate: CertificateSummary | None
) -> RevocationState | None:
    """The same where it was revoked, and None where it was not."""
    known = revocation_state_of(state, certificate)
    return known if known is not None and known.revoked is not None else None


def must_change_key(state: GatewayState, certificate: CertificateSummary) -> bool:
    """Whether the key of a certificate may not be used for another one."""
    revocation_state = revoked_state_of(state, certificate)
    return revocation_state is not None and revocation_state.new_key


def is_final(revocation_state: RevocationState) -> bool:
    """Whether a look can bring nothing new: revoked for good."""
    return (
        revocation_state.revoked is not None
        and revocation_state.reason is not RevocationReason.CERTIFICATE_HOLD
    )


def is_due(revocation_state: RevocationState, now: datetime) -> bool:
    """Whether to look now."""
    return not now < revocation_state.next_look <= now + LONGEST_REST


def next_check(
    now: datetime, random: Random, *, failures: int = 0, ends: datetime | None = None
) -> datetime:
    """When to look next.

    Args:
        now: When it was looked last.
        random: Source of jitter.
        failures: Consecutive looks that told nothing.
        ends: When there has to be a newer list.
    """
    rest = SHORTEST_REST + (LONGEST_REST - SHORTEST_REST) * random.random()
    if failures:
        jitter = 1 + random.uniform(-RETRY_JITTER, RETRY_JITTER)
        rest = min(rest, RETRY * jitter * 2 ** min(failures - 1, 10))
    elif ends is not None and ends > now:
        rest = min(rest, max(ends - now, RETRY))
    return now + rest


def first_check(now: datetime, random: Random) -> datetime:
    """When to look for the first time."""
    return now + FIRST_REST * random.random()
