"""Gateways that are enrolled already: certificates of a CA of the bench's own, without orders.

Versions and state are written through gatecert's own store, as after an enrolment days ago.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.fakes.pki import Issued, Pki

from gatecert.certificate.summary import summarize
from gatecert.deploy.deployment_record import DeploymentRecord
from gatecert.deploy.live import LiveDirectory
from gatecert.model import (
    Deployment,
    EnrolmentState,
    GatewayState,
    HostState,
    IssuedChain,
    NameResolution,
    Origin,
    RenewalInfo,
    Resolution,
    ResolutionKind,
)
from gatecert.schedule.spread import next_instant
from gatecert.store.file_store import FileStore
from harness.gatecert import Gatecert

AGE = timedelta(days=10)
LIFETIME = timedelta(days=90)
LOOK_INTERVAL = timedelta(hours=1)  # of a name that has pointed here for a day
WATCH_INTERVAL = timedelta(minutes=5)
FETCH_INTERVAL = timedelta(hours=6)  # of renewal information
ADDRESS = "127.0.0.1"
THREADS = 32


@dataclass
class Fleet:
    """Enrolled gateways of a daemon that has not started yet.

    The instants of their next looks are spread, as if the daemon had run for days.

    Attributes:
        now: When they are as they are.
    """

    daemon: Gatecert
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    _pki: Pki = field(default_factory=Pki, init=False)
    _random: random.Random = field(default_factory=lambda: random.Random(1), init=False)  # noqa: S311 - the same fleet in every run

    def __post_init__(self) -> None:
        """Make the CA, and let the daemon trust it."""
        begin, end = self.now - timedelta(days=400), self.now + timedelta(days=4000)
        self._root = self._pki.root("Bench root", begin=begin, end=end)
        self._issuer = self._pki.authority("Bench CA", self._root, begin=begin, end=end)
        self._store = FileStore(self.daemon.state_directory)
        roots = self.daemon.configuration_file.with_name("roots.pem")
        roots.write_bytes(self._root.pem)
        self.daemon.configuration["authorities"]["pebble"]["trusted_roots"] = str(roots)

    @property
    def root(self) -> bytes:
        """The root of every certificate, PEM."""
        return self._root.pem

    def add(self, count: int) -> None:
        """Add gateways without listeners."""
        names = [f"gateway{number}" for number in range(count)]
        with ThreadPoolExecutor(THREADS) as threads:  # most of the time is fsync
            list(threads.map(self.add_gateway, names, [f"{name}.example.com" for name in names]))

    def add_gateway(self, name: str, hostname: str, *, listener: str = "") -> None:
        """Add one gateway.

        Args:
            name: Of the gateway.
            hostname: Of the gateway.
            listener: ``host:port`` that serves its certificate; none if empty.
        """
        issued = self._pki.issue(
            hostname,
            self._issuer,
            names=[hostname],
            begin=self.now - AGE,
            end=self.now - AGE + LIFETIME,
        )
        version = self._store.add_version(name, self._chain(issued), now=self.now - AGE)
        directory = self._store.gateway_directory(name)
        LiveDirectory(directory).swap(version)
        confirmed = next_instant(name, self.now - WATCH_INTERVAL, WATCH_INTERVAL)
        proven = (listener,) if listener else ()
        DeploymentRecord(directory / "deployment.json").save(
            Deployment(version.id, confirmed=confirmed, proven=proven)
        )
        self._store.save_state(name, self._state(name, hostname, issued))
        install = {"install": {"verify": [listener]}} if listener else {}
        self.daemon.add_gateway(name, hostname, **install)

    def _chain(self, issued: Issued) -> IssuedChain:
        return IssuedChain(
            private_key=issued.key_pem,
            certificate=issued.pem,
            chain=self._issuer.pem,
            root=self._root.pem,
            origin=Origin.AUTHORITY,
            authority="pebble",
            order_url="https://127.0.0.1/order",
        )

    def _state(self, gateway: str, hostname: str, issued: Issued) -> GatewayState:
        detail = f"{hostname} resolves to {ADDRESS}, this gateway"
        name = NameResolution(hostname, ResolutionKind.HERE, answers=(ADDRESS,), detail=detail)
        resolution = Resolution(
            next_instant(gateway, self.now - LOOK_INTERVAL, LOOK_INTERVAL),
            (name,),
            (ADDRESS,),
            unchanged_since=self.now - AGE,
        )
        renewal = RenewalInfo(
            summarize(issued.pem, self._issuer.pem).certificate_id,
            next_fetch=self.now + self._spread(FETCH_INTERVAL),
            renew_at=self.now + LIFETIME / 2 + self._spread(timedelta(days=2)),
        )
        next_look = next_instant(gateway, self.now, LOOK_INTERVAL)
        return GatewayState(
            EnrolmentState(renewal=renewal), HostState(resolution=resolution, next_look=next_look)
        )

    def _spread(self, interval: timedelta) -> timedelta:
        return interval * self._random.random()
