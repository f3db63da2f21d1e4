"""The status of a gateway, as values and as JSON (docs/status.md).

``schema`` changes only if a field is removed or changes its meaning; new fields may be added.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from gatecert.model import ClientCA, DeferredAuthority, Mode, PastOutcome
from gatecert.report.indented_json import indented
from gatecert.report.monitoring_status import NOT_MONITORED, MonitoringStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCHEMA = 1


class Condition(StrEnum):
    """The state of a gateway."""

    TRUSTED = "trusted"
    PRIVATE_ROOT = "private-root"
    UNPROVEN = "unproven"
    NOT_SERVED = "not-served"
    MIXED = "mixed"
    SILENT = "silent"
    EXPIRED = "expired"
    REVOKED = "revoked"
    BOOTSTRAP = "bootstrap"
    WAITING = "waiting"
    FAILING = "failing"
    SKIPPED = "skipped"
    EMPTY = "empty"


SENTENCES = {
    Condition.TRUSTED: "serves its certificate, proven by a TLS handshake",
    Condition.PRIVATE_ROOT: "serves its certificate from a private CA: clients need its root",
    Condition.UNPROVEN: "certificate installed, not yet proven by a TLS handshake",
    Condition.NOT_SERVED: "does not serve the installed certificate",
    Condition.MIXED: "serves the installed certificate to some clients, another one to others",
    Condition.SILENT: "certificate installed, but no listener answers",
    Condition.EXPIRED: "certificate expired",
    Condition.REVOKED: "certificate revoked",
    Condition.BOOTSTRAP: "self-signed bootstrap certificate installed",
    Condition.WAITING: "bootstrap certificate installed until the hostname points here",
    Condition.FAILING: "bootstrap certificate installed; enrolment fails",
    Condition.SKIPPED: "never enrolled because of its region",
    Condition.EMPTY: "no certificate yet",
}


@dataclass(frozen=True, slots=True)
class LastError:
    """The error of the last pass that did something."""

    code: str
    message: str
    fix: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ClientAuthority(ClientCA):
    """A client CA, with the whole days until it expires."""

    days_left: int


@dataclass(frozen=True, slots=True)
class ClientAuthenticationStatus:
    """The status of client authentication at a gateway.

    Attributes:
        bundle: The file that the server reads.
        asked: True if a handshake proved that every listener asks for certificates of exactly
            these client CAs, False if the proof failed, None if unknown.
        asked_at: Time of that handshake.
        error: Why the proof failed.
        warnings: What locks out clients, now or soon, and the fix.
    """

    bundle: str
    authorities: tuple[ClientAuthority, ...]
    asked: bool | None
    asked_at: datetime | None
    error: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RevocationStatus:
    """The revocation status of the live certificate.

    Attributes:
        revoked: True or False according to the CRLs; None if they could not be read.
        revoked_at: Time of the revocation.
        reason: Reason (RFC 5280); empty if not revoked.
        source: URL of the CRL, or who requested the revocation.
        checked_at: Time of the last CRL that was read.
        problem: Why the last check failed; empty if it succeeded.
    """

    revoked: bool | None
    revoked_at: datetime | None
    reason: str
    source: str
    checked_at: datetime | None
    problem: str


@dataclass(frozen=True, slots=True)
class PlannedChallenge:
    """The challenge for a name at the next order.

    Attributes:
        kind: ``http-01`` …; empty if no configured challenge can validate the name.
        reason: Why it is not the first configured challenge; empty if it is.
    """

    name: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class SecondCertificate:
    """The certificate for the second key type, served beside the first."""

    algorithm: str
    issuer: str
    fingerprint: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class DdnsStatus:
    """The status of the address records that gatecert keeps.

    Attributes:
        addresses: The addresses that the provider accepted last; empty before the first update.
        published_at: When it did.
        next_at: When gatecert looks at the gateway's addresses again.
        code: What is wrong, a code of the doctor; empty if nothing.
        error: The problem in words.
        fix: The fix.
        error_since: When the problem was first met.
    """

    addresses: tuple[str, ...]
    published_at: datetime | None
    next_at: datetime | None
    code: str
    error: str
    fix: str
    error_since: datetime | None


@dataclass(frozen=True, slots=True)
class HostProgress:
    """A host of a cluster that is silent, or has not proven the newest certificate.

    Attributes:
        generation: The newest that it has tried; zero for none.
        outcome: ``pending``, ``proven``, ``rolled-back`` or ``failed``; empty for none.
        reason: Why it is not served; empty if it is, or if that is not known.
        silent: Whether it gives no sign of life.
        seen: Its last sign of life; None if there was none.
    """

    name: str
    generation: int
    outcome: str
    reason: str
    silent: bool
    seen: datetime | None


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """The cluster and the fleet of a gateway, as this host has seen them last.

    Attributes:
        words: The newest certificate as a sentence, or that the database is away.
        at: When it was seen.
        generation: Of the newest certificate; zero if there is none.
        hosts: Number of hosts of the cluster.
        proven: Hosts that are proven to serve it.
        others: Hosts that are not, or that are silent.
        away: Whether the database cannot be used.
        away_since: Since when passes find that; None if none has.
        paused_since: By ``gatecert fleet pause``; None if the fleet is not paused.
        pause_reason: Why it is paused; empty if unknown.
        brake_since: Since when too many deployments have been rolled back; None if they have not.
        brake_reason: Which; empty if none.
    """

    words: str
    at: datetime
    generation: int = 0
    hosts: int = 0
    proven: tuple[str, ...] = ()
    others: tuple[HostProgress, ...] = ()
    away: bool = False
    away_since: datetime | None = None
    paused_since: datetime | None = None
    pause_reason: str = ""
    brake_since: datetime | None = None
    brake_reason: str = ""


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """The status of a gateway.

    Attributes:
        state: See `Condition`.
        words: The state as a sentence.
        names: Names in the live certificate.
        issuer: Its issuer (RFC 4514 text).
        served: True if a handshake proved the live certificate at every listener, False if a
            listener served another one or did not answer, None if unknown.
        served_at: Time of the last proof or failure.
        served_detail: Why it is not served; empty if unknown.
        days_left: Whole days until ``not_after``; negative once it has expired.
        next_action: ``enrol``, ``deploy``, ``bootstrap`` or ``none``, and why.
        warning: What only an operator can fix: an imported certificate that expires or lacks a
            configured name, or a name that could not be resolved completely; empty if nothing.
        warning_fix: The fix.
        client_authentication: None if not configured.
        challenges: The challenge for each name; empty if gatecert does not enrol the gateway.
        revocation: None before the first check of the CRLs.
        authorities_left: Authorities that are skipped for a while.
        second: The live certificate for the second key type; None if there is none.
        ddns: The address records that gatecert keeps; None if it keeps none.
        points_here: Whether every name resolved to the gateway when it was looked up last; None if
            unknown.
        history: The last outcomes that were reported, the latest first.
        is_looked_up: Whether the names are looked up at all.
        fleet: How the hosts that share the certificate fare; None if it is not shared.
        read_failures: How often in a row the monitor could not get a newer status than this one.
        read_error: Why it could not the last time; None if it could.
    """

    name: str
    hostname: str
    mode: Mode
    state: Condition
    words: str
    detail: str
    names: tuple[str, ...]
    issuer: str
    authority: str
    version: str
    fingerprint: str
    not_before: datetime | None
    not_after: datetime | None
    days_left: int | None
    served: bool | None
    served_at: datetime | None
    served_detail: str
    next_action: str
    next_at: datetime | None
    failures: int
    last_error: LastError | None
    warning: str = ""
    warning_fix: str = ""
    client_authentication: ClientAuthenticationStatus | None = None
    challenges: tuple[PlannedChallenge, ...] = ()
    revocation: RevocationStatus | None = None
    authorities_left: tuple[DeferredAuthority, ...] = ()
    second: SecondCertificate | None = None
    ddns: DdnsStatus | None = None
    points_here: bool | None = None
    history: tuple[PastOutcome, ...] = ()
    is_looked_up: bool = True
    fleet: FleetStatus | None = None
    read_failures: int = 0
    read_error: LastError | None = None


def as_json(
    statuses: Sequence[GatewayStatus],
    *,
    now: datetime,
    daemon: int | None,
    monitoring: MonitoringStatus = NOT_MONITORED,
) -> str:
    """Return the status of all gateways as JSON.

    Args:
        statuses: One for each gateway.
        now: The time that they show.
        daemon: Process id of the daemon, if it runs.
        monitoring: How metrics, page and notifications are.
    """
    return as_document(
        {
            "schema": SCHEMA,
            "time": now,
            "daemon": {"running": daemon is not None, "pid": daemon},
            "gateways": statuses,
            "monitoring": monitoring,
        }
    )


def as_document(document: Mapping[str, object]) -> str:
    """Return a document as JSON, with times in UTC."""
    return indented(document)
