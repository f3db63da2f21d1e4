"""Gateways that are enrolled already: certificates of a CA of the bench's own, without orders.

Versions and state are written through gatecert's own store, as after an enrolment days ago.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.fakes.pki import Issued, Pki

from gatecert.certificate.summary import summarize
from gatecert.deploy.deployment_record import DeploymentRecord
from gatecert.deploy.live import LiveDirectory
from gatecert.model import (
    Deployment,
    GatewayState,
    IssuedChain,
    NameResolution,
    Origin,
    RenewalInfo,
    Resolution,
    ResolutionKind,
)
from gatecert.store.file_store import FileStore
from harness.gatecert import Gatecert

AGE = timedelta(days=10)
LIFETIME = timedelta(days=90)
LOOK_INTERVAL = timedelta(minutes=5)  # of a name that points here
WATCH_INTERVAL = timedelta(minutes=5)
FETCH_INTERVAL = timedelta(hours=6)  # of renewal information
ADDRESS = "127.0.0.1"


@dataclass
class Fleet:
    """Enrolled gateways of a daemon that has not started yet.

    The instants of their next looks are spread, as if the daemon had run for days.
    """

    daemon: Gatecert
    _pki: Pki = field(default_factory=Pki, init=False)
    _random: random.Random = field(default_factory=lambda: random.Random(1), init=False)  # noqa: S311 - the same fleet in every run

    def __post_init__(self) -> None:
        """Make the CA, and let the daemon trust it."""
        now = datetime.now(UTC)
        self._now = now
        begin, end = now - timedelta(days=400), now + timedelta(days=4000)
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
        for number in range(count):
            self.add_gateway(f"gateway{number}", f"gateway{number}.example.com")

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
            begin=self._now - AGE,
            end=self._now - AGE + LIFETIME,
        )
        version = self._store.add_version(name, self._chain(issued), now=self._now - AGE)
        directory = self._store.gateway_directory(name)
        LiveDirectory(directory).swap(version)
        confirmed = self._now - self._spread(WATCH_INTERVAL)
        proven = (listener,) if listener else ()
        DeploymentRecord(directory / "deployment.json").save(
            Deployment(version.id, confirmed=confirmed, proven=proven)
        )
        self._store.save_state(name, self._state(hostname, issued))
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

    def _state(self, hostname: str, issued: Issued) -> GatewayState:
        look = self._spread(LOOK_INTERVAL)
        name = NameResolution(
            hostname,
            ResolutionKind.HERE,
            answers=(ADDRESS,),
            detail=f"{hostname} resolves to {ADDRESS}, this gateway",
        )
        renewal = RenewalInfo(
            summarize(issued.pem, self._issuer.pem).certificate_id,
            next_fetch=self._now + self._spread(FETCH_INTERVAL),
            renew_at=self._now + LIFETIME / 2 + self._spread(timedelta(days=2)),
        )
        return GatewayState(
            resolution=Resolution(self._now - LOOK_INTERVAL + look, (name,), (ADDRESS,)),
            next_look=self._now + look,
            renewal=renewal,
        )

    def _spread(self, interval: timedelta) -> timedelta:
        return interval * self._random.random()
