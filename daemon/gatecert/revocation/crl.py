"""What revocation lists (CRLs, RFC 5280 section 5) say about the gateway's certificate. Pure.

- A certificate names its lists (4.2.1.13). Those at http:// are used; lists that somebody else
  than its issuer signs (indirect ones) are not.
- A list counts if its issuer is the certificate's, its signature holds, it is not from the future,
  and nothing critical stands in it that is not understood (5.2).
- A list that is only a part of all (``IssuingDistributionPoint``, 5.2.5) counts where the
  certificate says that this part is its own; public authorities split theirs this way.
- Lists for some reasons only say that a certificate is not revoked together, not each by itself.
- A delta list (5.2.4) changes the complete list that it is based on, or a newer one.
- An ended list still tells who was revoked, but not who was not.
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
from gatecert.certificate.extensions import is_ca
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
# RFC 5280 section 6.3.2 (a): what a set of lists has to cover before nothing is left.
ALL_REASONS = frozenset(ReasonFlags) - {ReasonFlags.unspecified, ReasonFlags.remove_from_crl}


@dataclass(frozen=True, slots=True)
class RevokedEntry:
    """That a certificate was revoked, as a list says."""

    revoked: datetime
    reason: RevocationReason


@dataclass(frozen=True, slots=True)
class DistributionPoint:
    """Where a list of a certificate is to be found.

    Attributes:
        urls: Any of them will do.
        names: By which a list can say that it is the one meant.
        reasons: For which it is.
    """

    urls: tuple[str, ...]
    names: frozenset[x509.GeneralName]
    reasons: frozenset[ReasonFlags] = ALL_REASONS


@dataclass(frozen=True, slots=True)
class VerifiedCrl:
    """A list that tells about one certificate.

    Attributes:
        begins: When it was made.
        ends: When there has to be a newer one; None where it does not say.
        number: Counts the issuer's lists; None where it does not say.
        base: For a delta list, the number of the oldest list that it changes.
        reasons: For which it says who is revoked.
    """

    crl: CertificateRevocationList
    begins: datetime
    ends: datetime | None
    number: int | None
    base: int | None
    reasons: frozenset[ReasonFlags]

    def has_ended(self, now: datetime) -> bool:
        """Whether there has to be a newer one by now."""
        return self.ends is not None and self.ends <= now


# --------------------------------------------------------------------- where


def distribution_points(certificate: Certificate) -> tuple[DistributionPoint, ...]:
    """Where the lists of a certificate are to be found over http."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(_places(points, certificate.issuer))


def delta_distribution_points(
    certificate: Certificate, base: VerifiedCrl
) -> tuple[DistributionPoint, ...]:
    """Where delta lists are to be found that change a complete one (5.2.6)."""
    found: list[DistributionPoint] = []
    for extensions in (base.crl.extensions, certificate.extensions):
        try:
            points = extensions.get_extension_for_class(x509.FreshestCRL).value
        except x509.ExtensionNotFound:
            continue
        found += _places(points, certificate.issuer)
    return tuple(found)


def _places(
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


# --------------------------------------------------------------------- whether it counts


def parse_crl(data: bytes) -> CertificateRevocationList:
    """A list from DER, as it has to be sent, or PEM, as some send it.

    Raises:
        CertificateError: It is none.
    """
    load = x509.load_pem_x509_crl if data.lstrip().startswith(b"-----") else x509.load_der_x509_crl
    try:
        crl = load(data)
        # What is decoded lazily would raise later.
        _ = crl.extensions, crl.issuer, crl.last_update_utc, crl.next_update_utc
        _ = crl.get_revoked_certificate_by_serial_number(_NEVER_ISSUED)
    except UNREADABLE as error:
        raise CertificateError("what was sent is no revocation list (CRL)") from error
    return crl


def is_signed_by(crl: CertificateRevocationList, issuer: Certificate) -> bool:
    """Whether this authority's key made the signature of a list."""
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
    """Hold a list to every rule.

    Args:
        crl: The list.
        certificate: What it is to tell about.
        issuer: The issuer of that certificate.
        place: Where it comes from.
        now: Aware UTC.
        clock_skew: How far in the future a list may begin.

    Raises:
        CertificateError: It does not count; says why.
    """
    who = name_text(issuer.subject)
    if crl.issuer != certificate.issuer:
        raise CertificateError(f"the list is one of '{name_text(crl.issuer)}', not of '{who}'")
    if not may_sign_crls(issuer) or not is_signed_by(crl, issuer):
        raise CertificateError(f"the list was not signed by the key of '{who}'")
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
    """Hold a list to the rules that do not depend on a certificate.

    Args:
        crl: The list.
        now: Aware UTC.
        clock_skew: How far in the future a list may begin.

    Raises:
        CertificateError: It does not count; says why.
    """
    if crl.last_update_utc > now + clock_skew:
        begins = instant(crl.last_update_utc)
        raise CertificateError(f"the list begins in the future, on {begins}: a clock is wrong")
    unknown = [
        extension.oid.dotted_string
        for extension in crl.extensions
        if extension.critical and not isinstance(extension.value, _UNDERSTOOD)
    ]
    if unknown:
        raise CertificateError(f"the list says what is not understood here: {', '.join(unknown)}")
    part = scope(crl)
    if part is not None and part.indirect_crl:
        raise CertificateError("the list is about other authorities' certificates as well")
    if part is not None and part.only_contains_attribute_certs:
        raise CertificateError("the list is about other kinds of certificates")


def check_scope(
    crl: CertificateRevocationList, certificate: Certificate, names: frozenset[x509.GeneralName]
) -> None:
    """Refuse a list that is not about this certificate (6.3.3 (b)).

    Args:
        crl: The list.
        certificate: What it is to tell about.
        names: By which the list can say that it is the one meant.

    Raises:
        CertificateError: It is about others.
    """
    part = scope(crl)
    if part is None:
        return
    if part.only_contains_user_certs if is_ca(certificate) else part.only_contains_ca_certs:
        raise CertificateError("the list is about other kinds of certificates")
    own = _names(part.full_name, part.relative_name, certificate.issuer)
    if own and not own & names:
        raise CertificateError("the list is another part of the issuer's lists")


def scope(crl: CertificateRevocationList) -> x509.IssuingDistributionPoint | None:
    """What a list says it is about; None where it is about all certificates of its issuer."""
    try:
        return crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return None


def point_names(certificate: Certificate) -> frozenset[x509.GeneralName]:
    """The names of all lists of a certificate, whatever they are fetched with."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset().union(
        *(
            _names(point.full_name, point.relative_name, certificate.issuer)
            for point in points
            if point.crl_issuer is None
        )
    )


def is_delta(crl: CertificateRevocationList) -> bool:
    """Whether a list only says what has changed since another (5.2.4)."""
    return _number(crl, x509.DeltaCRLIndicator) is not None


def _reasons(
    crl: CertificateRevocationList, certificate: Certificate, place: DistributionPoint
) -> frozenset[ReasonFlags]:
    """The reasons that the list is for, if it is for this certificate at all (6.3.3 (b), (d))."""
    check_scope(crl, certificate, place.names)
    part = scope(crl)
    if part is None:
        return place.reasons
    return place.reasons & (part.only_some_reasons or ALL_REASONS)


def may_sign_crls(issuer: Certificate) -> bool:
    """Whether the key usage, if any, allows an authority to sign lists (cRLSign)."""
    try:
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _number(
    crl: CertificateRevocationList, kind: type[x509.CRLNumber | x509.DeltaCRLIndicator]
) -> int | None:
    try:
        return crl.extensions.get_extension_for_class(kind).value.crl_number
    except x509.ExtensionNotFound:
        return None


# --------------------------------------------------------------------- what it says


def delta_applies(base: VerifiedCrl, delta: VerifiedCrl) -> bool:
    """Whether a delta list changes this complete list (5.2.4)."""
    return (
        delta.base is not None
        and base.number is not None
        and delta.number is not None
        and delta.base <= base.number < delta.number
        and delta.reasons == base.reasons
    )


def can_be_listed(certificate: Certificate) -> bool:
    """Whether lists can name a certificate; a negative serial number (4.1.2.2) they cannot."""
    return serial_number(certificate) >= 0


def crl_entry(
    crl: CertificateRevocationList, certificate: Certificate
) -> x509.RevokedCertificate | None:
    """The entry of a certificate that can be listed."""
    return crl.get_revoked_certificate_by_serial_number(serial_number(certificate))


def find_revocation(
    certificate: Certificate, base: VerifiedCrl, delta: VerifiedCrl | None = None
) -> RevokedEntry | None:
    """What a complete list says, with the delta list that fits it; None where not revoked."""
    for each in (delta, base):
        found = crl_entry(each.crl, certificate) if each is not None else None
        if found is not None:
            flag = reason(found)
            if flag is ReasonFlags.remove_from_crl:
                return None
            return RevokedEntry(found.revocation_date_utc, RevocationReason(flag.value))
    return None


def reason(entry: x509.RevokedCertificate) -> ReasonFlags:
    """Why, as far as the list says so (5.3.1)."""
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except (x509.ExtensionNotFound, *UNREADABLE):
        return ReasonFlags.unspecified
