"""The facts that the checks evaluate, gathered once by ``doctor.gather``.

The checks are pure functions of these values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.x509 import Certificate

from gatecert.acme.directory_check import DirectoryReport
from gatecert.acme.rate_limits import RemainingAllowance
from gatecert.client_ca.bundle import Bundle
from gatecert.client_ca.bundle_warnings import BundleWarning
from gatecert.deploy.parsed_versions import StoredCertificate
from gatecert.deploy.reload_unit import ReloadProblem, ReloadUnit
from gatecert.errors import AuthorityError, GatecertError, Problem, ResolutionError, StateError
from gatecert.model import DatabaseProblem, Endpoint, KeyRequest, Mode, Probe, Resolution, Target
from gatecert.model.cluster_view import ClusterView
from gatecert.report.monitoring_status import NOT_MONITORED, MonitoringStatus
from gatecert.resolve.caa import CaaPolicy
from gatecert.schedule.due import Situation
from gatecert.verify.served_chain import ProbeFailure, ServedChain


@dataclass(frozen=True, slots=True)
class Exposure:
    """A file or directory with unsafe permissions or the wrong owner.

    Attributes:
        problem: What is wrong, as a sentence that follows the path.
        fix: A command that fixes it.
        wrong_owner: Whether only the owner is wrong.
    """

    path: Path
    problem: str
    fix: str
    wrong_owner: bool = False


@dataclass(frozen=True, slots=True)
class OpenListener:
    """A listener for challenges on a port that any user can bind.

    Attributes:
        kind: The challenge type.
        forwarder: The process that listens on the port that the CA connects to, empty if it is
            unknown; None if there is none.
        out_of_reach: Whether a CA reaches it only if something forwards to it.
    """

    kind: str
    endpoint: Endpoint
    forwarder: str | None = None
    out_of_reach: bool = False


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """The facts that are common to all gateways.

    Attributes:
        configuration: The configuration file.
        gateways: Number of gateways in it.
        daemon: Process id of the daemon, if it runs.
        storage: Why the state directory cannot be used; None if it can.
        free: Free bytes for the state directory; None if unknown.
        directory_reports: The directory of each authority in use, by the authority's name.
        missing: Things that the configuration names and that do not exist, with their lines.
        unworkable: Settings that cannot work, with their lines.
        open_listeners: Listeners where another user could answer challenges.
        monitoring: The listeners and receivers of the running daemon.
        cluster: What this host sees in the fleet's database, or why it sees nothing; None without
            a fleet.
        clock_ahead: This machine's clock less that of the fleet's database; None if unknown.
    """

    now: datetime
    configuration: Path
    gateways: int
    state_directory: Path
    daemon: int | None = None
    storage: StateError | None = None
    free: int | None = None
    exposures: tuple[Exposure, ...] = ()
    directory_reports: Mapping[str, DirectoryReport | AuthorityError | StateError] = field(
        default_factory=dict
    )
    missing: tuple[Problem, ...] = ()
    unworkable: tuple[Problem, ...] = ()
    open_listeners: tuple[OpenListener, ...] = ()
    monitoring: MonitoringStatus = NOT_MONITORED
    cluster: ClusterView | DatabaseProblem | None = None
    clock_ahead: timedelta | None = None


@dataclass(frozen=True, slots=True)
class ChallengeSelfTest:
    """The result of testing one kind of challenge.

    Attributes:
        error: Why gatecert cannot answer it; None if it can, or if it was not tested.
        tried: Whether the solver supports the test.
        complaints: Problems that may make a validation fail.
    """

    kind: str
    error: GatecertError | None = None
    tried: bool = True
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Root:
    """The root at the end of a chain.

    Attributes:
        certificate: None if it is not stored here.
        name: RFC 4514 text of its subject.
        fingerprint: SHA-256 of its DER, lower-case hexadecimal; empty if it is not stored here.
        trusted: Whether this machine trusts it.
    """

    name: str
    certificate: Certificate | None = None
    fingerprint: str = ""
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """The facts about one gateway.

    Attributes:
        live: The version that ``live`` points to.
        requests: Keys whose CSRs wait for a certificate signed elsewhere.
        directory_reports: The directories of its authorities, in order; empty if it never enrols.
        resolution: The addresses of its names; None if they are not looked up.
        behind_nat: Whether this host has private addresses only.
        limits: What is left of the rate limits, with the name of the authority.
        policies: The CAA records of its names; empty if it never enrols, or if they are not looked
            up.
        by_name: What listeners served to a client that sends the hostname (SNI).
        by_address: What they served to a client that sends no name.
        by_command: The answer of ``install.verify_command``; None if there is none.
        root: None for a bootstrap certificate, and without a certificate.
        reload_unit: The systemd unit that reloads the server; None if ``install.reload`` does, or
            if systemd does not run here.
        reload_problem: Why that unit does not reload the server; None if nothing is known.
        client_ca: The client CAs; an error if they cannot be read.
        client_ca_warnings: What locks out clients, now or soon.
        cluster: What this host sees in the fleet's database; None if nothing, and for a gateway
            that shares nothing.
    """

    now: datetime
    target: Target
    situation: Situation
    live: StoredCertificate | None = None
    requests: tuple[KeyRequest, ...] = ()
    directory_reports: tuple[DirectoryReport | AuthorityError | StateError, ...] = ()
    resolution: Resolution | ResolutionError | None = None
    behind_nat: bool = False
    limits: tuple[tuple[str, RemainingAllowance], ...] = ()
    policies: tuple[CaaPolicy, ...] = ()
    self_tests: tuple[ChallengeSelfTest, ...] = ()
    by_name: tuple[ServedChain | ProbeFailure, ...] = ()
    by_address: tuple[ServedChain | ProbeFailure, ...] = ()
    by_command: Probe | None = None
    root: Root | None = None
    reload_unit: ReloadUnit | None = None
    reload_problem: ReloadProblem | None = None
    client_ca: Bundle | StateError = field(default_factory=Bundle)
    client_ca_warnings: tuple[BundleWarning, ...] = ()
    cluster: ClusterView | None = None

    @property
    def name(self) -> str:
        """The gateway's name."""
        return self.target.name

    @property
    def enrols(self) -> bool:
        """True if the gateway is enrolled automatically."""
        return self.target.mode is Mode.AUTOMATIC and not self.situation.excluded_region
