"""Stored: what is remembered of a gateway from one pass to the next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gatecert.model.due_action import RenewalInfo
from gatecert.model.order import PendingOrder
from gatecert.model.outcome import Outcome
from gatecert.model.resolution import Resolution
from gatecert.model.revocation import RevocationState

if TYPE_CHECKING:
    from collections.abc import Collection

    from gatecert.model.certificate import CertificateSummary


@dataclass(frozen=True, slots=True)
class ExpiryNotice:
    """The last warning that was given of a certificate's end.

    Attributes:
        fingerprint: Which certificate it was about.
        days: The threshold that had passed, in days before the end; 0 once it has ended.
    """

    fingerprint: str
    days: int


@dataclass(frozen=True, slots=True)
class ChallengeFailure:
    """The last time that a challenge type did not work for a name.

    Attributes:
        name: As it stands in the certificate.
        kind: ``http-01`` …
        reason: Why, one line, cleaned.
    """

    name: str
    kind: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OrderBlocker:
    """Something that an order is certain to fail of, so that none was placed.

    Attributes:
        code: What it is; one of the doctor's.
        at: When it was seen.
        until: Not looked at again before this instant.
    """

    code: str
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class AuthorityFailure:
    """What an authority has refused or failed to do for a gateway, and whether it was left for it.

    Attributes:
        name: The authority's name in the configuration.
        at: When it failed last; in the future only if the clock was set back.
        failures: How often in succession.
        left_until: Not asked before this instant as long as there is another; None if not left.
        reason: Why it failed last, one line.
        fix: What to do about that, one line; empty if unknown.
        validation_failed: Whether that was a validation, so that it is tried elsewhere first.
        fails: Whether it neither refused for good nor asked for the time, so that it may be asked
            before ``left_until`` where nobody else can be.
    """

    name: str
    at: datetime
    failures: int = 1
    left_until: datetime | None = None
    reason: str = ""
    validation_failed: bool = False
    fails: bool = False
    fix: str = ""


@dataclass(frozen=True, slots=True)
class DeferredAuthority:
    """An authority that was left for the next one.

    Attributes:
        until: Not asked before, as long as there is another.
        reason: Why.
    """

    name: str
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class GatewayState:
    """What has to be remembered of a gateway between passes; ``state.json``.

    Attributes:
        failures: Consecutive failed attempts to enrol.
        failed_at: When the last of them failed, or had to wait; in the future only if the clock
            was set back.
        next_attempt: No order before this instant.
        resolution: The last look at DNS.
        next_look: DNS is not asked again before this instant.
        order: The order that is under way.
        second_order: The same for the second certificate of a pair.
        renewal: What the authority last suggested.
        obstruction: What held back the last order; no failed attempt.
        outcome: How the last pass that did something ended.
        expiry_notice: The last warning of an imported certificate's end, so that none comes twice.
        challenge_failures: What has not worked since the last certificate was issued, so that
            another challenge type is tried next.
        authority_notices: The same for each authority of the users' certificates.
        troubles: With authorities that certificates are enrolled with, one each.
        revocation: Whether the certificate was revoked.
        accepted_roots: Names of untrusted roots (RFC 4514 text) that the operator has accepted.
    """

    failures: int = 0
    failed_at: datetime | None = None
    next_attempt: datetime | None = None
    resolution: Resolution | None = None
    next_look: datetime | None = None
    order: PendingOrder | None = None
    renewal: RenewalInfo | None = None
    obstruction: OrderBlocker | None = None
    outcome: Outcome | None = None
    expiry_notice: ExpiryNotice | None = None
    challenge_failures: tuple[ChallengeFailure, ...] = ()
    authority_notices: tuple[ExpiryNotice, ...] = ()
    troubles: tuple[AuthorityFailure, ...] = ()
    revocation: RevocationState | None = None
    second_order: PendingOrder | None = None
    accepted_roots: tuple[str, ...] = ()

    def revocation_of(self, certificate: CertificateSummary) -> RevocationState | None:
        """What is known of the revocation of this certificate; None where nothing is."""
        known = self.revocation
        return known if known and known.fingerprint == certificate.fingerprint else None

    def deferred_authorities(
        self, authorities: Collection[str], now: datetime
    ) -> tuple[DeferredAuthority, ...]:
        """Those that are left for another; where all were left, the first to come back is not.

        Args:
            authorities: Names of those that the gateway may be enrolled with.
            now: Aware UTC.
        """
        left = [
            DeferredAuthority(trouble.name, trouble.left_until, trouble.reason)
            for trouble in self.troubles
            if trouble.left_until is not None and trouble.at <= now < trouble.left_until
        ]
        if left and {each.name for each in left}.issuperset(authorities):
            left.remove(min(left, key=lambda each: each.until))
        return tuple(left)
