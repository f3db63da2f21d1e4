"""Stored: the state of a gateway between passes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from gatecert.model.due_action import RenewalInfo
from gatecert.model.dynamic_dns import DdnsState
from gatecert.model.order import PendingOrder
from gatecert.model.outcome import Outcome, PastOutcome
from gatecert.model.resolution import Resolution
from gatecert.model.revocation import RevocationState
from gatecert.model.roll_out import RollOutWait

if TYPE_CHECKING:
    from collections.abc import Collection

    from gatecert.model.certificate import CertificateSummary

FLATTENED = {"flattened": True}  # in a file, the fields of such a field stand in place of it


@dataclass(frozen=True, slots=True)
class ExpiryNotice:
    """The last warning about the expiry of a certificate.

    Attributes:
        fingerprint: Fingerprint of the certificate.
        days: The threshold passed, in days before expiry; 0 once it has expired.
    """

    fingerprint: str
    days: int


@dataclass(frozen=True, slots=True)
class ChallengeFailure:
    """The last failure of a challenge type for a name.

    Attributes:
        name: As in the certificate.
        kind: ``http-01`` …
        reason: The reason, one line, cleaned.
    """

    name: str
    kind: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OrderBlocker:
    """A condition under which every order fails, so that none was placed.

    Attributes:
        code: Its doctor code.
        at: When it was found.
        until: No new check before this instant.
    """

    code: str
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class DatabaseProblem:
    """The reason why the database that hosts share cannot be used, so that nothing is ordered.

    Attributes:
        since: When a pass found it first; None if none has, and a command finds it now.
        code: Its doctor code.
        detail: One line.
        fix: What to do about it, one line; empty if unknown.
    """

    since: datetime | None
    code: str
    detail: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class AuthorityFailure:
    """The failures of an authority for a gateway.

    Attributes:
        name: The authority's name in the configuration.
        at: The last failure; in the future only if the clock was set back.
        failures: Consecutive failures.
        left_until: Not used before this instant if there is another authority; None for no pause.
        reason: The reason of the last failure, one line.
        fix: What to do about that, one line; empty if unknown.
        validation_failed: Whether a validation failed, so that another authority is tried first.
        fails: Whether it neither refused permanently nor asked to wait, so that it may be used
            before ``left_until`` if no other authority can be.
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
    """An authority that is paused in favour of the next one.

    Attributes:
        until: Not used before, if there is another authority.
        reason: The reason.
    """

    name: str
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class EnrolmentState:
    """The part of the state that hosts with one certificate share.

    Attributes:
        failures: Consecutive failed attempts to enrol.
        failed_at: When the last of them failed or had to wait; in the future only if the clock was
            set back.
        next_attempt: No order before this instant.
        order: The unfinished order.
        second_order: The unfinished order of the second certificate of a pair.
        renewal: The CA's last renewal information.
        challenge_failures: Failures since the last certificate was issued, so that another
            challenge type is tried next.
        troubles: The failures of each authority.
        revocation: The revocation state of the certificate.
        accepted_roots: Names of untrusted roots (RFC 4514 text) that the operator has accepted, for
            a certificate that every host installs.
    """

    failures: int = 0
    failed_at: datetime | None = None
    next_attempt: datetime | None = None
    order: PendingOrder | None = None
    second_order: PendingOrder | None = None
    renewal: RenewalInfo | None = None
    challenge_failures: tuple[ChallengeFailure, ...] = ()
    troubles: tuple[AuthorityFailure, ...] = ()
    revocation: RevocationState | None = None
    accepted_roots: tuple[str, ...] = ()

    def revocation_of(self, certificate: CertificateSummary | None) -> RevocationState | None:
        """Return the revocation state of this certificate; None if unknown."""
        known = self.revocation
        if known is None or certificate is None or known.fingerprint != certificate.fingerprint:
            return None
        return known

    def deferred_authorities(
        self, authorities: Collection[str], now: datetime
    ) -> tuple[DeferredAuthority, ...]:
        """Return the paused authorities; if all are, the first to return is not.

        Args:
            authorities: Names of the gateway's authorities.
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


@dataclass(frozen=True, slots=True)
class HostState:
    """The part of the state that is this host's alone: what it sees, does and has told.

    Attributes:
        resolution: The last result of looking up the names.
        next_look: No look-up before this instant.
        obstruction: The condition that prevented the last order; not a failed attempt.
        outcome: The last outcome other than idle; an idle one if what had failed is in order.
        history: These outcomes, the latest first.
        expiry_notice: The last warning that an imported certificate expires, so that none repeats.
        authority_notices: The last warning that each client CA expires.
        ddns: The address records that gatecert keeps; None if it keeps none.
        database: Why the database of the hosts cannot be used; None if it can, or there is none.
        roll_out: Why the newest generation is not installed here yet; None if its turn has come.
    """

    resolution: Resolution | None = None
    next_look: datetime | None = None
    obstruction: OrderBlocker | None = None
    outcome: Outcome | None = None
    history: tuple[PastOutcome, ...] = ()
    expiry_notice: ExpiryNotice | None = None
    authority_notices: tuple[ExpiryNotice, ...] = ()
    ddns: DdnsState | None = None
    database: DatabaseProblem | None = None
    roll_out: RollOutWait | None = None


@dataclass(frozen=True, slots=True)
class GatewayState:
    """The state of a gateway between passes; ``state.json`` has the fields of both parts in one."""

    enrolment: EnrolmentState = field(default_factory=EnrolmentState, metadata=FLATTENED)
    host: HostState = field(default_factory=HostState, metadata=FLATTENED)
