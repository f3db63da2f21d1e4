"""Swapped and served: the installed certificate, and the one that the gateway serves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gatecert.model.certificate import Origin
from gatecert.model.target import Endpoint


@dataclass(frozen=True, slots=True)
class Version:
    """A stored key and certificate of a gateway.

    Attributes:
        id: Sortable by age.
        gateway: Its name.
        origin: None where ``meta.json`` was lost; the certificate itself then decides.
        certificate: The leaf, PEM.
        chain: The intermediates, PEM.
        second_certificate: The leaf of the other key algorithm, PEM; empty where there is none.
        second_chain: Its intermediates, PEM.
        generation: Its number among those that all hosts of a cluster install; zero for a version
            of this host only.
        is_urgent: As in `IssuedChain`.
    """

    id: str
    gateway: str
    certificate: bytes
    chain: bytes
    origin: Origin | None = None
    authority: str = ""
    order_url: str = ""
    created: datetime | None = None
    second_certificate: bytes = b""
    second_chain: bytes = b""
    generation: int = 0
    is_urgent: bool = False


@dataclass(frozen=True, slots=True)
class ListenerOutage:
    """Listeners that answered before and no longer do.

    Attributes:
        since: First observation.
        at: Last observation.
        listeners: The listeners, ``host:port``.
        detail: One line for the operator.
    """

    since: datetime
    at: datetime
    listeners: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """The progress of deploying a version to this host.

    Attributes:
        version: Id of the version to serve.
        confirmed: When a handshake last proved it at every listener; None while unproven.
        failures: Consecutive failed attempts.
        next_attempt: No attempt before this instant.
        error: The reason of the last failure, one line.
        silence: The last observation, where a gateway that was proven does not answer any more.
        previous: Id of the version to roll back to if the server refuses this one, empty if none;
            stored before the swap, so that it survives a crash.
        answered: Listeners that completed a TLS handshake before the swap, ``host:port``.
        proven: The listeners and the command that confirmed it.
        mixed: Whether a listener serves two certificates, which no reload changes.
    """

    version: str
    confirmed: datetime | None = None
    failures: int = 0
    next_attempt: datetime | None = None
    error: str = ""
    silence: ListenerOutage | None = None
    previous: str = ""
    answered: tuple[str, ...] = ()
    proven: tuple[str, ...] = ()
    mixed: bool = False


class DeploymentOutcome(StrEnum):
    """The outcome of a version that a cluster shares, on one host."""

    PENDING = "pending"
    """Not tried yet, or nothing can tell."""
    PROVEN = "proven"
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"
    """In place, and not served."""


class FailureKind(StrEnum):
    """The reason why a listener presented no certificate."""

    NAME = "name"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    RESET = "reset"
    NOT_TLS = "not-tls"
    HANDSHAKE = "handshake"


@dataclass(frozen=True, slots=True)
class Probe:
    """The certificate that one listener serves.

    Attributes:
        endpoint: The listener; None for the verify command.
        fingerprint: SHA-256 of the served leaf's DER, empty without a handshake.
        matches: Leaf and intermediates equal the installed ones.
        detail: One line for the operator.
        failure: The reason why the handshake failed; None otherwise, and for the verify command.
        mixed: Whether it serves the installed certificate on some connections and another one on
            others.
    """

    endpoint: Endpoint | None
    fingerprint: str
    matches: bool
    detail: str
    failure: FailureKind | None = None
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of verifying every listener."""

    probes: tuple[Probe, ...]

    @property
    def served(self) -> bool:
        """True if every listener matches; also if there is none."""
        return all(probe.matches for probe in self.probes)

    @property
    def mixed(self) -> bool:
        """True if a listener serves two certificates, which no reload changes."""
        return any(probe.mixed for probe in self.probes)

    @property
    def shows_another(self) -> bool:
        """True if a listener serves another certificate, which a reload may change."""
        return any(probe.fingerprint and not probe.matches for probe in self.probes)

    @property
    def detail(self) -> str:
        """One line: the mismatches, or else the served certificates."""
        wrong = [probe.detail for probe in self.probes if not probe.matches]
        return "; ".join(wrong or [probe.detail for probe in self.probes])
