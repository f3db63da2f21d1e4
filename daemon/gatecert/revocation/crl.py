"""CRL checks (RFC 5280 section 5) of the gateway's certificate. Pure.

- A certificate names its CRLs (4.2.1.13). Only http:// URLs are used; indirect CRLs, which another
  issuer signs, are not.
- A CRL is valid if its issuer is the certificate's, its signature verifies, it is not from the
  future, and it has no unknown critical extension (5.2).
- A partitioned CRL (``IssuingDistributionPoint``, 5.2.5) is valid if the certificate names that
  partition; public CAs partition theirs this way.
- CRLs for some reasons prove only together that a certificate is not revoked.
- A delta CRL (5.2.4) changes the complete CRL that it is based on, or a newer one.
- An expired CRL still tells which certificates are revoked, but not which are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import CertificateRevocationList, ReasonFlags

from gatecert.certificate.certificate_names import name_text
from gatecert.certificate.extensions import extension, is_ca
from gatecert.certificate.pem import UNREADABLE, serial_number
from gatecert.errors import CertificateError
from gatecert.model import RevocationReason
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import timedelta

    from cryptography.x509 import Certificate

_HTTP = re.compile(r"http://[!-~]+", re.IGNORECASE)  # RFC 3986: visible ASCII, no space
_NEVER_ISSUED = 0  # serial number, RFC 5280 section 4.1.2.2
_UNDERSTOOD = (
    x509.AuthorityKeyIdentifier,
    x509.CRLNumber,
    x509.DeltaCRLIndicator,
    x509.FreshestCRL,
    x509.IssuerAlternativeName,
    x509.IssuingDistributionPoint,
)
# RFC 5280 section 6.3.2 (a): the reasons that a set of CRLs has to cover.
ALL_REASONS = frozenset(ReasonFlags) - {ReasonFlags.unspecified, ReasonFlags.remove_from_crl}


@dataclass(frozen=True, slots=True)
class RevokedEntry:
    """A certificate's entry in a CRL."""

    revoked: datetime
    reason: RevocationReason


@dataclass(frozen=True, slots=True)
class DistributionPoint:
    """A CRL distribution point of a certificate.

    Attributes:
        urls: Alternative URLs of the CRL.
        names: Names that identify the partition in the CRL.
        reasons: The revocation reasons that the CRL covers.
    """

    urls: tuple[str, ...]
    names: frozenset[x509.GeneralName]
    reasons: frozenset[ReasonFlags] = ALL_REASONS


@dataclass(frozen=True, slots=True)
class VerifiedCrl:
    """A CRL that is valid for one certificate.

    Attributes:
        begins: thisUpdate.
        ends: nextUpdate; None if not given.
        number: CRL number; None if not given.
        base: For a delta CRL, the number of the oldest CRL that it changes.
        reasons: The revocation reasons that it covers.
    """

    crl: CertificateRevocationList
    begins: datetime
    ends: datetime | None
    number: int | None
    base: int | None
    reasons: frozenset[ReasonFlags]

    def has_ended(self, now: datetime) -> bool:
        """Check whether the CRL has expired."""
        return self.ends is not None and self.ends <= now


# --------------------------------------------------------------------- distribution points


def distribution_points(certificate: Certificate) -> tuple[DistributionPoint, ...]:
    """Return the distribution points of a certificate with http:// URLs."""
    points = extension(certificate, x509.CRLDistributionPoints) or ()
    return tuple(_usable_points(points, certificate.issuer))


def delta_distribution_points(
    certificate: Certificate, base: VerifiedCrl
) -> tuple[DistributionPoint, ...]:
    """Return the distribution points of delta CRLs for a complete CRL (5.2.6)."""
    found: list[DistributionPoint] = []
    for holder in (base.crl, certificate):
        points = extension(holder, x509.FreshestCRL) or ()
        found += _usable_points(points, certificate.issuer)
    return tuple(found)


def _usable_points(
    points: Iterable[x509.DistributionPoint], issuer: x509.Name
) -> Iterator[DistributionPoint]:
    for point in points:
        names = _names(point.full_name, point.relative_name, issuer)
        urls = tuple(
            name.value
            for name in point.full_name or ()
            if isinstance(name, x509.UniformResourceIdentifier) and _is_http(name.value)
        )
        if urls and point.crl_issuer is None:
            yield DistributionPoint(urls, names, point.reasons or ALL_REASONS)


def _is_http(url: str) -> bool:
    try:
        return _HTTP.fullmatch(url) is not None and bool(urlsplit(url).hostname)
    except ValueError:
        return False


def _names(
    full: Iterable[x509.GeneralName] | None,
    relative: x509.RelativeDistinguishedName | None,
    issuer: x509.Name,
) -> frozenset[x509.GeneralName]:
    if relative is not None:
        return frozenset({x509.DirectoryName(x509.Name([*issuer.rdns, relative]))})
    return frozenset(full or ())


# --------------------------------------------------------------------- verification


def parse_crl(data: bytes) -> CertificateRevocationList:
    """Parse a CRL: DER as required, or PEM as some hosts send it.

    Raises:
        CertificateError: It is not a CRL.
    """
    load = x509.load_pem_x509_crl if data.lstrip().startswith(b"-----") else x509.load_der_x509_crl
    try:
        crl = load(data)
        # Decode what is decoded lazily, which would raise later.
        _ = crl.extensions, crl.issuer, crl.last_update_utc, crl.next_update_utc
        _ = crl.get_revoked_certificate_by_serial_number(_NEVER_ISSUED)
    except UNREADABLE as error:
        raise CertificateError("the data is not a CRL") from error
    return crl


def is_signed_by(crl: CertificateRevocationList, issuer: Certificate) -> bool:
    """Check the signature of a CRL with this issuer's key."""
    try:
        return bool(crl.is_signature_valid(issuer.public_key()))  # type: ignore[arg-type] # raises TypeError
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def verify_crl(  # noqa: PLR0913 - everything that the verdict depends on is passed in
    crl: CertificateRevocationList,
    certificate: Certificate,
    issuer: Certificate,
    place: DistributionPoint,
    *,
    now: datetime,
    clock_skew: timedelta,
) -> VerifiedCrl:
    """Verify a CRL for a certificate.

    Args:
        crl: The CRL.
        certificate: The certificate to check.
        issuer: The issuer of that certificate.
        place: The distribution point that it comes from.
        now: Aware UTC.
        clock_skew: How far in the future thisUpdate may be.

    Raises:
        CertificateError: It is not valid; says why.
    """
    who = name_text(issuer.subject)
    if crl.issuer != certificate.issuer:
        raise CertificateError(f"the CRL's issuer is '{name_text(crl.issuer)}', not '{who}'")
    if not may_sign_crls(issuer) or not is_signed_by(crl, issuer):
        raise CertificateError(f"the CRL is not signed by the key of '{who}'")
    check_crl(crl, now=now, clock_skew=clock_skew)
    return VerifiedCrl(
        crl=crl,
        begins=crl.last_update_utc,
        ends=crl.next_update_utc,
        number=_number(crl, x509.CRLNumber),
        base=_number(crl, x509.DeltaCRLIndicator),
        reasons=_reasons(crl, certificate, place),
    )


def check_crl(crl: CertificateRevocationList, *, now: datetime, clock_skew: timedelta) -> None:
    """Check the rules for a CRL that do not depend on a certificate.

    Args:
        crl: The CRL.
        now: Aware UTC.
        clock_skew: How far in the future thisUpdate may be.

    Raises:
        CertificateError: It is not valid; says why.
    """
    if crl.last_update_utc > now + clock_skew:
        begins = instant(crl.last_update_utc)
        raise CertificateError(f"the CRL begins in the future, on {begins}: a clock is wrong")
    unknown = [
        extension.oid.dotted_string
        for extension in crl.extensions
        if extension.critical and not isinstance(extension.value, _UNDERSTOOD)
    ]
    if unknown:
        raise CertificateError(f"the CRL has unknown critical extensions: {', '.join(unknown)}")
    part = scope(crl)
    if part is not None and part.indirect_crl:
        raise CertificateError("the CRL is an indirect CRL, with other issuers' certificates")
    if part is not None and part.only_contains_attribute_certs:
        raise CertificateError("the CRL is for other kinds of certificates")


def check_scope(
    crl: CertificateRevocationList, certificate: Certificate, names: frozenset[x509.GeneralName]
) -> None:
    """Refuse a CRL whose scope does not include this certificate (6.3.3 (b)).

    Args:
        crl: The CRL.
        certificate: The certificate to check.
        names: The names in the certificate's distribution point.

    Raises:
        CertificateError: The CRL is for other certificates.
    """
    part = scope(crl)
    if part is None:
        return
    if part.only_contains_user_certs if is_ca(certificate) else part.only_contains_ca_certs:
        raise CertificateError("the CRL is for other kinds of certificates")
    own = _names(part.full_name, part.relative_name, certificate.issuer)
    if own and not own & names:
        raise CertificateError("the CRL is another partition of the issuer's CRLs")


def scope(crl: CertificateRevocationList) -> x509.IssuingDistributionPoint | None:
    """Return the scope of a CRL; None if it covers all certificates of its issuer."""
    return extension(crl, x509.IssuingDistributionPoint)


def point_names(certificate: Certificate) -> frozenset[x509.GeneralName]:
    """Return the names in all distribution points of a certificate, with any URL scheme."""
    points = extension(certificate, x509.CRLDistributionPoints) or ()
    return frozenset().union(
        *(
            _names(point.full_name, point.relative_name, certificate.issuer)
            for point in points
            if point.crl_issuer is None
        )
    )


def is_delta(crl: CertificateRevocationList) -> bool:
    """Check for a delta CRL (5.2.4)."""
    return _number(crl, x509.DeltaCRLIndicator) is not None


def _reasons(
    crl: CertificateRevocationList, certificate: Certificate, place: DistributionPoint
) -> frozenset[ReasonFlags]:
    """Return the reasons that a CRL covers for a certificate (6.3.3 (b), (d))."""
    check_scope(crl, certificate, place.names)
    part = scope(crl)
    if part is None:
        return place.reasons
    return place.reasons & (part.only_some_reasons or ALL_REASONS)


def may_sign_crls(issuer: Certificate) -> bool:
    """Check whether the key usage, if any, allows an issuer to sign CRLs (cRLSign)."""
    usage = extension(issuer, x509.KeyUsage)
    return usage is None or usage.crl_sign


def _number(
    crl: CertificateRevocationList, kind: type[x509.CRLNumber | x509.DeltaCRLIndicator]
) -> int | None:
    number = extension(crl, kind)
    return number.crl_number if number is not None else None


# --------------------------------------------------------------------- entries


def delta_applies(base: VerifiedCrl, delta: VerifiedCrl) -> bool:
    """Check whether a delta CRL applies to this complete CRL (5.2.4)."""
    return (
        delta.base is not None
        and base.number is not None
        and delta.number is not None
        and delta.base <= base.number < delta.number
        and delta.reasons == base.reasons
    )


def can_be_listed(certificate: Certificate) -> bool:
    """Check that a CRL can list a certificate; it cannot if the serial number is negative."""
    return serial_number(certificate) >= 0


def crl_entry(
    crl: CertificateRevocationList, certificate: Certificate
) -> x509.RevokedCertificate | None:
    """Return the entry of a certificate; None if there is none."""
    return crl.get_revoked_certificate_by_serial_number(serial_number(certificate))


def find_revocation(
    certificate: Certificate, base: VerifiedCrl, delta: VerifiedCrl | None = None
) -> RevokedEntry | None:
    """Return the entry in a complete CRL with its delta CRL; None if not revoked."""
    for each in (delta, base):
        found = crl_entry(each.crl, certificate) if each is not None else None
        if found is not None:
            flag = reason(found)
            if flag is ReasonFlags.remove_from_crl:
                return None
            return RevokedEntry(found.revocation_date_utc, RevocationReason(flag.value))
    return None


def reason(entry: x509.RevokedCertificate) -> ReasonFlags:
    """Return the reason code (5.3.1), unspecified if not given."""
    try:
        found = extension(entry, x509.CRLReason)
    except UNREADABLE:
        found = None
    return found.reason if found is not None else ReasonFlags.unspecified
