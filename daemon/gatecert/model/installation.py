"""Swapped and served: what is in place, and what the gateway was seen to serve."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from gatecert.model.certificate import Origin
from gatecert.model.target import Endpoint


@dataclass(frozen=True, slots=True)
class Version:
    """One stored key and certificate of a gateway, below ``versions/<id>``.

    Attributes:
        id: Sortable by age.
        directory: Absolute path.
        origin: None where ``meta.json`` was lost; the certificate itself then has to tell.
        certificate: The leaf, PEM.
        chain: The intermediates, PEM.
        second_certificate: The leaf of the other algorithm, PEM; empty where there is none.
        second_chain: Its intermediates, PEM.
    """

    id: str
    directory: Path
    certificate: bytes
    chain: bytes
    origin: Origin | None = None
    authority: str = ""
    order_url: str = ""
    created: datetime | None = None
    second_certificate: bytes = b""
    second_chain: bytes = b""


@dataclass(frozen=True, slots=True)
class Installed:
    """``live`` now leads to ``version``; before, it led to ``previous``."""

    version: Version
    previous: Version | None


@dataclass(frozen=True, slots=True)
class ListenerOutage:
    """Listeners that answered once and do not any more.

    Attributes:
        since: When that was first seen.
        at: When it was seen last.
        listeners: Which of them, ``host:port``.
        detail: One line for the operator.
    """

    since: datetime
    at: datetime
    listeners: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """How far bringing a version onto the gateway has come; this host's alone.

    Attributes:
        version: Id of the version that ought to be served.
        confirmed: When a handshake last proved it at every listener; None while unproven.
        failures: Consecutive failed tries.
        next_attempt: No try before this instant.
        error: Why the last try failed, one line.
        silence: What the last look showed, where a gateway that was proven did not answer it.
        previous: Id of the version that is put back if the server refuses this one, empty if none;
            it is known even where a crash came after the swap.
        answered: Listeners that completed a TLS handshake before the swap, ``host:port``.
        proven: What was asked when it was confirmed: listeners, and the command.
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


class FailureKind(StrEnum):
    """Why a listener showed no certificate."""

    NAME = "name"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    RESET = "reset"
    NOT_TLS = "not-tls"
    HANDSHAKE = "handshake"


@dataclass(frozen=True, slots=True)
class Probe:
    """What one listener serves.

    Attributes:
        endpoint: The listener; None where a command was asked instead.
        fingerprint: SHA-256 of the served leaf's DER, empty where no handshake succeeded.
        matches: Leaf and intermediates equal the installed ones.
        detail: One line for the operator.
        failure: Why there was no handshake; None where there was one, or a command was asked.
        mixed: Whether it serves the installed certificate to some, and another one to others.
    """

    endpoint: Endpoint | None
    fingerprint: str
    matches: bool
    detail: str
    failure: FailureKind | None = None
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether every listener serves the installed certificate."""

    probes: tuple[Probe, ...]

    @property
    def served(self) -> bool:
        """True when every listener matches; also when there is none to ask."""
        return all(probe.matches for probe in self.probes)

    @property
    def mixed(self) -> bool:
        """Whether some listener serves two certificates, which no reload changes."""
        return any(probe.mixed for probe in self.probes)

    @property
    def detail(self) -> str:
        """One line: what is wrong, or what is served."""
        wrong = [probe.detail for probe in self.probes if not probe.matches]
        return "; ".join(wrong or [probe.detail for probe in self.probes])
