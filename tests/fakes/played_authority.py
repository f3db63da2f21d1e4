"""An authority that issues at once, or fails as told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.fakes.clock import DAY, HOUR, START, Clock
from tests.fakes.pki import unsigned

from gatecert.errors import ACMEError, GatecertError
from gatecert.model import (
    ChallengeChoice,
    Expenses,
    IssuedChain,
    Limits,
    Origin,
    PendingOrder,
    RenewalInfo,
    Stage,
    Target,
)

if TYPE_CHECKING:
    import threading

    from gatecert.acme.protocol import OrderJournal
    from gatecert.model import CertificateSummary, Progress

DIRECTORY = "https://authority.example/directory"


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
            journal.open(request, DIRECTORY, Expenses(now()), Limits())
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
            unsigned(
                name,
                name,
                self.key.public_key(),
                begin=START - DAY,
                end=START + 4000 * DAY,
                serial=1,
            )
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
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.issuer)])
        begin, end = self.clock(), self.clock() + self.lifetime
        builder = unsigned(x509.Name([]), issuer, csr.public_key(), begin=begin, end=end)
        if self.lists_at:
            place = x509.UniformResourceIdentifier(self.lists_at)
            point = x509.DistributionPoint([place], None, None, None)
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        return (
            builder.add_extension(names.value, critical=True)
            .add_extension(identifier, critical=False)
            .sign(self.key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )
