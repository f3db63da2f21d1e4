"""A pass over one gateway: store, certificates and commands are real; authority and DNS played.

The authority signs whatever it is asked to with a root of its own; the resolver says what it is
told to say. What listeners serve is proven in tests/integration.
"""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gatecert.deploy.deployer import Deployer
from gatecert.errors import ACMEError, GatecertError, InterruptedOrderError
from gatecert.lifecycle.pipeline import Occasion, Pipeline
from gatecert.model import (
    ChallengeChoice,
    Identifier,
    IdentifierType,
    InstallPlan,
    IssuedChain,
    Origin,
    PendingOrder,
    RenewalInfo,
    Stage,
    Target,
)
from gatecert.resolve.lookup import LookupResult, LookupStatus
from gatecert.store import durable
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gatecert.acme.enrolment import OrderJournal
    from gatecert.deploy.inventory import StoredCertificate
    from gatecert.doctor.finding import Code, Finding
    from gatecert.model import CertificateSummary, Outcome, Progress


START = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HERE, ELSEWHERE = "192.0.2.7", "198.51.100.9"
HOSTNAME = "vpn.example.com"


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time


class Names:
    """A resolver that knows one address for every name, unless it ends otherwise."""

    def __init__(self) -> None:
        self.address = HERE
        self.ending = LookupStatus.ADDRESSES
        self.unknown = ""
        self.asked = 0

    def look_up(self, names: Sequence[str]) -> tuple[LookupResult, ...]:
        self.asked += 1
        found = (self.address,) if self.ending is LookupStatus.ADDRESSES else ()
        return tuple(
            LookupResult(name, self.ending, found, MINUTE, unknown=self.unknown) for name in names
        )


@dataclass
class PlayedAuthority:
    """Issues at once, or fails with what stands in ``trouble``."""

    clock: Clock
    name: str = "played"
    lifetime: timedelta = 90 * DAY
    trouble: GatecertError | Exception | None = None
    orders: int = 0
    replaced: list[str] = field(default_factory=list)
    lifetimes: list[timedelta | None] = field(default_factory=list)
    renew_at: datetime | None = None
    asked_when: int = 0
    staging: PlayedAuthority | None = None
    during_order: Callable[[], None] = lambda: None
    choices: tuple[ChallengeChoice, ...] = ()
    lists_at: str = ""
    issuer: str = "Played Root"
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def obtain(
        self,
        target: Target,
        journal: OrderJournal,
        *,
        progress: Progress,
        now: Callable[[], datetime],
        replaces: str = "",
        lifetime: timedelta | None = None,
        cancelled: threading.Event | None = None,
    ) -> IssuedChain:
        assert cancelled is not None
        self.choices = target.choices
        pending = journal.pending()
        if pending is not None and pending[0].authority != self.name:
            journal.forget()
            pending = None
        if pending is None:
            self.orders += 1
            self.replaced.append(replaces)
            self.lifetimes.append(lifetime)
            request = journal.new_request()
            url = f"https://authority.example/order/{self.orders}"
            order = PendingOrder(self.name, "", url, request.id, target.identifiers, now())
            journal.record(order)
        else:
            order, request = pending
        progress(target.name, Stage.ORDER, "order placed")
        self.during_order()
        if isinstance(self.trouble, ACMEError):
            journal.forget()
        if self.trouble is not None:
            raise self.trouble
        return IssuedChain(
            private_key=request.private_key,
            certificate=self.sign(request.csr),
            chain=b"",
            origin=Origin.AUTHORITY,
            authority=self.name,
            order_url=order.url,
            notes=("a note",),
        )

    def renewal_info(
        self,
        summary: CertificateSummary,
        *,
        now: Callable[[], datetime],
        previous: RenewalInfo | None = None,
        cancelled: threading.Event | None = None,
    ) -> RenewalInfo:
        assert cancelled is not None
        assert previous is None or previous.certificate_id
        self.asked_when += 1
        return RenewalInfo(summary.certificate_id, now() + 6 * HOUR, renew_at=self.renew_at)

    @property
    def root(self) -> bytes:
        """Its root, PEM."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.issuer)])
        usage = dict.fromkeys(
            (
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        subject = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(START - DAY)
            .not_valid_after(START + 4000 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
            .add_extension(subject, critical=False)
            .sign(self.key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )

    def sign(self, csr_pem: bytes) -> bytes:
        csr = x509.load_pem_x509_csr(csr_pem)
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = x509.CertificateBuilder()
        if self.lists_at:
            place = x509.UniformResourceIdentifier(self.lists_at)
            point = x509.DistributionPoint([place], None, None, None)
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        return (
            builder.subject_name(x509.Name([]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.issuer)]))
            .public_key(csr.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.clock())
            .not_valid_after(self.clock() + self.lifetime)
            .add_extension(names.value, critical=True)
            .add_extension(identifier, critical=False)
            .sign(self.key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )


class Obstacle:
    """Stands in the way as long as it has a code."""

    def __init__(self, code: Code) -> None:
        self.code: Code | None = code
        self.asked: list[tuple[str, StoredCertificate | None]] = []

    def __call__(
        self, target: Target, authority: str, in_use: StoredCertificate | None
    ) -> Finding | None:
        self.asked.append((authority, in_use))
        return self.code.found("seen", gateway=target.name) if self.code is not None else None


class World:
    """A pipeline over a real store, and everything it deals with."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Clock()
        self.names = Names()
        self.authority = PlayedAuthority(self.clock)
        self.store = FileStore(directory / "state")
        self.told: list[str] = []
        self.cancelled = threading.Event()
        self.target = Target(
            name="vpn",
            identifiers=(Identifier(IdentifierType.DNS, HOSTNAME),),
            display_name=HOSTNAME,
            addresses=(HERE,),
            authorities=("missing", "played"),
        )
        self.pipeline = self.new_pipeline()

    def new_pipeline(self) -> Pipeline:
        """As after a restart of the process."""
        return Pipeline(
            store=self.store,
            deployer=Deployer(self.store, self._tell, self.clock, self.cancelled),
            resolver=self.names,
            authorities={"played": self.authority},
            progress=self._tell,
            now=self.clock,
            cancelled=self.cancelled,
            random=random.Random(1),
        )

    def obstruct(self, obstacle: Obstacle) -> Obstacle:
        """As after a restart, with something in the way."""
        self.pipeline = replace(self.new_pipeline(), obstacles=obstacle)
        return obstacle

    def plan(self, **plan: object) -> None:
        self.target = replace(self.target, install=InstallPlan(**plan))  # type: ignore[arg-type] # names of fields

    def script(self, text: str) -> tuple[str, ...]:
        """A reload command."""
        path = self.directory / "reload"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return (str(path),)

    def attend(self, **occasion: object) -> Outcome:
        return self.pipeline.attend(self.target, Occasion(**occasion))  # type: ignore[arg-type] # names of fields

    def keep_unsettled(self) -> StoredCertificate:
        """A certificate that reached the disk just before a crash: its order is not settled yet."""
        self.authority.trouble = InterruptedOrderError("leaving")
        self.attend()
        self.authority.trouble = None
        state = self.store.state("vpn")
        assert state.order is not None
        (request,) = self.store.requests("vpn")
        issued = IssuedChain(
            request.private_key,
            self.authority.sign(request.csr),
            b"",
            Origin.AUTHORITY,
            authority="played",
            order_url=state.order.url,
        )
        return self.pipeline.memory.keep(self.target, issued)

    def later(self, wait: timedelta) -> None:
        self.clock.time += wait

    @property
    def live(self) -> x509.Certificate:
        path = self.store.gateway_directory("vpn") / "live" / "cert.pem"
        return x509.load_pem_x509_certificate(path.read_bytes())

    @property
    def serves_bootstrap(self) -> bool:
        return self.live.issuer == self.live.subject

    def _tell(self, gateway: str, stage: Stage, message: str) -> None:
        self.told.append(f"{gateway} {stage} {message}")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class Disk:
    """Full from the moment it is said to be."""

    full = False

    def __call__(self, name: str, path: Path) -> None:
        if self.full and name == "create":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@pytest.fixture
def disk() -> Iterator[Disk]:
    before, durable.on_step = durable.on_step, Disk()
    yield durable.on_step
    durable.on_step = before
