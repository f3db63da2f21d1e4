"""Distribution points and certificate revocation lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from tests.fakes.clock import DAY, NOW
from tests.fakes.pki import Issued, Pki, common_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from cryptography.x509 import ReasonFlags


URL = "http://ca.example/1.crl"


# --------------------------------------------------------------------- revocation lists
def uri(url: str = URL) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(url)


def point(
    *urls: str,
    reasons: frozenset[ReasonFlags] | None = None,
    issuer: str = "",
    relative: x509.RelativeDistinguishedName | None = None,
) -> x509.DistributionPoint:
    signed_by = [x509.DirectoryName(common_name(issuer))] if issuer else None
    names = [uri(url) for url in urls] or None
    return x509.DistributionPoint(names, relative, reasons, signed_by)


def leaf(
    root: Issued, *points: x509.DistributionPoint, serial: int | None = None
) -> x509.Certificate:
    extensions = [(x509.CRLDistributionPoints(points), False)] if points else []
    return Pki().issue(issuer=root, extensions=extensions, serial=serial).certificate


def crl(
    root: Issued,
    revoked: Sequence[tuple[x509.Certificate, ReasonFlags | None]] = (),
    *,
    begins: timedelta = -DAY,
    ends: timedelta = DAY,
    number: int | None = 7,
    base: int | None = None,
    part: dict[str, Any] | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    name: x509.Name | None = None,
    invalid: datetime | None = None,
) -> x509.CertificateRevocationList:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(name or root.certificate.subject)
        .last_update(NOW + begins)
        .next_update(NOW + ends)
    )
    for certificate, flag in revoked:
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(certificate.serial_number)
            .revocation_date(NOW - 2 * DAY)
        )
        if flag is not None:
            entry = entry.add_extension(x509.CRLReason(flag), critical=False)
        if invalid is not None:
            entry = entry.add_extension(x509.InvalidityDate(invalid), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    if base is not None:
        builder = builder.add_extension(x509.DeltaCRLIndicator(base), critical=True)
    if part is not None:
        plain: dict[str, Any] = {
            "full_name": None,
            "relative_name": None,
            "only_contains_user_certs": False,
            "only_contains_ca_certs": False,
            "only_some_reasons": None,
            "indirect_crl": False,
            "only_contains_attribute_certs": False,
        }
        builder = builder.add_extension(
            x509.IssuingDistributionPoint(**(plain | part)), critical=True
        )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(root.private_key, hashes.SHA256())
