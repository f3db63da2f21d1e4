"""An administrator with a private CA, and a gateway that imports its certificates."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.fakes.clock import DAY, NOW
from tests.fakes.pki import Pki, dns, unsigned
from tests.fakes.resolver import NoNames

from gatecert.certificate.upload import Upload
from gatecert.custom.import_check import CheckedImport, check_import
from gatecert.custom.member import select_member
from gatecert.custom.signing_requests import NewRequest, request
from gatecert.lifecycle.pipeline import Pipeline
from gatecert.model import Member, Message, Mode, Stage, Target
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes


HOST = "vpn.company.com"


PRIMARY = Member("primary", "primaryvpn.company.com")


SPARE = Member("spare", "secondaryvpn.company.com")


SINGLE = Target(
    name="hq",
    identifiers=dns(HOST),
    display_name=HOST,
    mode=Mode.CUSTOM,
    subject=(("O", "Company"), ("C", "US")),
)


PAIR = replace(SINGLE, members=(PRIMARY, SPARE))


@dataclass
class Office:
    """One host with its state, and the authority of the administrator.

    Attributes:
        root: The root; ``middle`` was issued by it and signs requests.
    """

    directory: Path
    target: Target = SINGLE
    now: datetime = NOW
    pki: Pki = field(default_factory=Pki)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = FileStore(self.directory)
        self.root = self.pki.root("Company Root")
        self.middle = self.pki.authority("Company Issuing", self.root)
        self.pipeline = Pipeline(
            store=self.store,
            resolver=NoNames(),
            authorities={},
            progress=self._tell,
            now=lambda: self.now,
        )

    def request(self, *, member: str = "", renew: bool = False) -> NewRequest:
        target = select_member(self.target, member)
        return request(self.store, target, now=self.now, renew=renew)

    def csr(self, *, member: str = "", renew: bool = False) -> x509.CertificateSigningRequest:
        pending = self.request(member=member, renew=renew).pending.request
        return x509.load_pem_x509_csr(pending.csr)

    def sign(
        self,
        csr: x509.CertificateSigningRequest,
        *,
        days: int = 365,
        names: Sequence[str] = (),
        public_key: CertificateIssuerPublicKeyTypes | None = None,
    ) -> bytes:
        """Issue a certificate for a request, PEM, optionally with other names or another key."""
        by = self.middle
        builder = unsigned(
            _common_name(names[0]) if names else csr.subject,
            by.certificate.subject,
            public_key or csr.public_key(),
            begin=self.now - DAY,
            end=self.now + days * DAY,
        )
        for extension in csr.extensions:
            value = extension.value
            if names and isinstance(value, x509.SubjectAlternativeName):
                value = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(value, extension.critical)
        return builder.sign(by.private_key, hashes.SHA256()).public_bytes(Encoding.PEM)

    @property
    def chain(self) -> bytes:
        return self.middle.pem + self.root.pem

    def uploads(self, certificate: bytes, chain: bytes | None = None) -> list[Upload]:
        given = self.chain if chain is None else chain
        return [
            Upload("the certificate file", "c", certificate),
            Upload("the chain file", "i", given),
        ]

    def check_import(
        self, certificate: bytes, chain: bytes | None = None, *, member: str = ""
    ) -> CheckedImport:
        return check_import(
            self.store,
            select_member(self.target, member),
            self.uploads(certificate, chain),
            now=self.now,
            system_roots=(),
        )

    @property
    def live(self) -> x509.Certificate:
        path = self.store.gateway_directory(self.target.name) / "live" / "cert.pem"
        return x509.load_pem_x509_certificate(path.read_bytes())

    def _tell(self, gateway: str, stage: Stage, message: Message) -> None:
        self.told.append(f"{gateway} {stage} {message}")


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
