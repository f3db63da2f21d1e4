"""What a diagnosis is made from: everything that was seen, taken once, before anything is judged.

The checks are pure functions of these values; ``doctor.gather`` is what looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.x509 import Certificate

from gatecert.acme.directory_check import DirectoryReport
from gatecert.acme.rate_limits import RemainingAllowance
from gatecert.client_ca.bundle import Bundle
from gatecert.client_ca.bundle_warnings import BundleWarning
from gatecert.deploy.inventory import StoredCertificate
from gatecert.errors import AuthorityError, GatecertError, Problem, ResolutionError, StateError
from gatecert.model import Endpoint, KeyRequest, Mode, Probe, Resolution, Target
from gatecert.resolve.caa import CaaPolicy
from gatecert.schedule.due import Situation
from gatecert.verify.served_chain import ProbeFailure, ServedChain


@dataclass(frozen=True, slots=True)
class Exposure:
    """A file or directory that is not as closed as it has to be.

    Attributes:
        what: What is wrong, after the path in a sentence.
        fix: A command that puts it right.
        foreign: Whether only its owner is wrong.
    """

    path: Path
    what: str
    fix: str
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class OpenListener:
    """A listener for challenges at a port that any user may bind.

    Attributes:
        kind: The challenge type.
        forwarder: Who has the port that the CA connects to, as far as can be seen; None where
            nobody has.
    """

    kind: str
    endpoint: Endpoint
    forwarder: str | None = None


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What is common to all gateways.

    Attributes:
        configuration: The file.
        gateways: How many there are in it.
        daemon: Process id, if one runs on the state directory.
        storage: Why the state directory cannot be used; None when it can.
        free: Bytes that are left for the state directory; None if unknown.
        directory_reports: What was found of each authority that is used, by its name.
        missing: What the configuration names and does not exist, each with its line.
        open_listeners: Where another user could answer challenges.
    """

    now: datetime
    configuration: Path
    gateways: int
    state_directory: Path
    daemon: int | None = None
    storage: StateError | None = None
    free: int | None = None
    exposures: tuple[Exposure, ...] = ()
    directory_reports: Mapping[str, DirectoryReport | AuthorityError] = field(default_factory=dict)
    missing: tuple[Problem, ...] = ()
    open_listeners: tuple[OpenListener, ...] = ()


@dataclass(frozen=True, slots=True)
class ChallengeSelfTest:
    """How trying to answer one kind of challenge ended.

    Attributes:
        error: Why it cannot be answered; None when it can, or was not tried.
        tried: Whether the solver knows how to try.
        complaints: What is suspicious.
    """

    kind: str
    error: GatecertError | None = None
    tried: bool = True
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Root:
    """The root at the end of a chain.

    Attributes:
        certificate: None where it is not known here.
        name: RFC 4514 text of its subject.
        fingerprint: SHA-256 of its DER, lower-case hexadecimal; empty where it is not known.
        trusted: Whether this machine trusts it.
    """

    name: str
    certificate: Certificate | None = None
    fingerprint: str = ""
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """One gateway, and what was seen of it.

    Attributes:
        live: The version that ``live`` leads to.
        requests: Keys that wait for a certificate which somebody else signs.
        directory_reports: What was found of its authorities, in order; empty where it never
            enrols.
        resolution: Where its names point; None where nobody has to look.
        behind_nat: Whether this host has private addresses only.
        limits: What is left of its authorities' limits, each with who it is in front.
        policies: The CAA records of its names; empty where it never enrols.
        by_name: What listeners showed to a client that sends the hostname.
        by_address: What they showed to one that sends no name.
        by_command: What ``install.verify_command`` said; None where there is none.
        root: None for a certificate that has none, and where there is no certificate.
        client_ca: The authorities of users' certificates; an error where they cannot be read.
        client_ca_warnings: What somebody has to see to, so that users get in who should.
    """

    now: datetime
    target: Target
    situation: Situation
    live: StoredCertificate | None = None
    requests: tuple[KeyRequest, ...] = ()
    directory_reports: tuple[DirectoryReport | AuthorityError, ...] = ()
    resolution: Resolution | ResolutionError | None = None
    behind_nat: bool = False
    limits: tuple[tuple[str, RemainingAllowance], ...] = ()
    policies: tuple[CaaPolicy, ...] = ()
    self_tests: tuple[ChallengeSelfTest, ...] = ()
    by_name: tuple[ServedChain | ProbeFailure, ...] = ()
    by_address: tuple[ServedChain | ProbeFailure, ...] = ()
    by_command: Probe | None = None
    root: Root | None = None
    client_ca: Bundle | StateError = field(default_factory=Bundle)
    client_ca_warnings: tuple[BundleWarning, ...] = ()

    @property
    def name(self) -> str:
        """The gateway's name."""
        return self.target.name

    @property
    def enrols(self) -> bool:
        """Whether an authority is ever asked for this gateway."""
        return self.target.mode is Mode.AUTOMATIC and not self.situation.excluded_region
