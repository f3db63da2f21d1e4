"""Client CAs, user certificates and their revocation lists, with any fault that is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.fakes.clock import DAY, NOW
from tests.fakes.pki import Issued, Pki

from gatecert.client_ca.bundle import Bundle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from tests.fakes.pki import Options


@dataclass(frozen=True)
class Office:
    """Makes authorities and users."""

    pki: Pki

    def root(self, name: str = "Users", **options: Unpack[Options]) -> Issued:
        return self.pki.root(name, **options)

    def intermediate(
        self, issuer: Issued, name: str = "Branch", **options: Unpack[Options]
    ) -> Issued:
        return self.pki.authority(name, issuer, **options)

    def user(
        self, issuer: Issued | None, name: str = "alice", **options: Unpack[Options]
    ) -> Issued:
        settings: Options = {"server": False, "names": (), **options}
        return self.pki.issue(name, issuer, **settings)

    def crl(
        self,
        issuer: Issued,
        *revoked: Issued,
        reason: x509.ReasonFlags | None = None,
        made: datetime = NOW - DAY,
        end: datetime = NOW + 7 * DAY,
        signer: Issued | None = None,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> x509.CertificateRevocationList:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update(made)
            .next_update(end)
        )
        for each in revoked:
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(each.certificate.serial_number)
                .revocation_date(made)
            )
            if reason is not None:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign((signer or issuer).private_key, hashes.SHA256())


def bundle(*issued: Issued) -> Bundle:
    return Bundle(tuple(each.certificate for each in issued))


def write_crl(path: Path, *lists: x509.CertificateRevocationList) -> Path:
    path.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in lists))
    return path


def extended(*oids: x509.ObjectIdentifier) -> tuple[x509.ExtendedKeyUsage, bool]:
    return x509.ExtendedKeyUsage(oids), False


def part(
    *names: str, users: bool = False, authorities: bool = False, indirect: bool = False
) -> tuple[x509.IssuingDistributionPoint, bool]:
    """The scope of a CRL."""
    full_name = [x509.UniformResourceIdentifier(each) for each in names] or None
    return (
        x509.IssuingDistributionPoint(
            full_name=full_name,
            relative_name=None,
            only_contains_user_certs=users,
            only_contains_ca_certs=authorities,
            only_some_reasons=None,
            indirect_crl=indirect,
            only_contains_attribute_certs=False,
        ),
        True,
    )


SERVER_ONLY = extended(ExtendedKeyUsageOID.SERVER_AUTH)
