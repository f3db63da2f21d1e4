"""Certificate signing requests (PKCS #10, RFC 2986).

The requested names are in subjectAltName; clients have ignored the common name since RFC 6125, and
X.520 limits it to 64 characters. An ACME CA takes the names and the key from the request and
decides on everything else itself (RFC 8555 section 7.4), so such a request is minimal. A request
that an administrator has signed may ask for more: an organisation, a common name and the key usages
of a TLS server.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gatecert.certificate import key
from gatecert.certificate.certificate_names import identifiers_of
from gatecert.certificate.pem import UNREADABLE
from gatecert.errors import CertificateError, clean
from gatecert.model import IdentifierType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatecert.model import Identifier

logger = logging.getLogger(__name__)

LONGEST_COMMON_NAME = 64  # bytes; ub-common-name, RFC 5280 appendix A.1

_NOTHING: Mapping[str, str] = MappingProxyType({})
_SUBJECT_ATTRIBUTES = {  # from the widest to the narrowest, as X.500 names are written
    "C": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "L": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
}
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_LONGEST = {"ST": 128, "L": 128, "O": 64, "OU": 64}  # characters, RFC 5280 appendix A.1


def build_request(
    private_key_pem: bytes,
    identifiers: Sequence[Identifier],
    *,
    common_name: str | None,
    subject: Mapping[str, str] = _NOTHING,
    usages: bool = False,
) -> bytes:
    """Create a certificate signing request, PEM.

    Args:
        private_key_pem: The key to certify; it signs the request.
        identifiers: The names to request.
        common_name: Omitted when None or longer than 64 bytes.
        subject: Further attributes: ``O``, ``OU``, ``L``, ``ST``, ``C``.
        usages: Whether to request the key usages of a TLS server as well.

    Raises:
        CertificateError: The key cannot be read, there is no name, or the subject is malformed.
    """
    private_key = key.load(private_key_pem)
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name(list(_subject(common_name, subject))))
        .add_extension(alternative_names(identifiers), critical=False)
    )
    if usages:
        for_rsa = isinstance(private_key, rsa.RSAPrivateKey)
        builder = builder.add_extension(
            server_key_usage(key_encipherment=for_rsa), critical=True
        ).add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    request = builder.sign(private_key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def requested_names(csr: bytes) -> tuple[Identifier, ...]:
    """Return the names that a CSR of somebody else asks for.

    Args:
        csr: PEM.

    Raises:
        CertificateError: It is damaged, or not signed with its own key.
    """
    try:
        csr.decode("ascii")  # as it is stored
        request = x509.load_pem_x509_csr(csr)
        if request.is_signature_valid:
            return identifiers_of(request)
    except UNREADABLE as error:
        raise CertificateError("the CSR cannot be read: it is damaged") from error
    raise CertificateError("the CSR is not signed with the key that it is for")


def alternative_names(identifiers: Sequence[Identifier]) -> x509.SubjectAlternativeName:
    """Return the names of a gateway as subjectAltName (RFC 5280 section 4.2.1.6).

    Raises:
        CertificateError: There is none, or one is neither an A-label nor an address.
    """
    if not identifiers:
        raise CertificateError(
            "a certificate needs at least one name", fix="give the gateway a hostname"
        )
    return x509.SubjectAlternativeName([_general_name(name) for name in identifiers])


def server_key_usage(*, key_encipherment: bool) -> x509.KeyUsage:
    """Return the key usage of a TLS server: signatures, and key transport for RSA keys."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(identifier: Identifier) -> x509.GeneralName:
    """Return one name as subjectAltName contains it."""
    try:
        if identifier.type is IdentifierType.IP:
            return x509.IPAddress(ipaddress.ip_address(identifier.value))
        return x509.DNSName(identifier.value)
    except ValueError as error:
        raise CertificateError(
            f"'{clean(identifier.value, 255)}' is not a valid {identifier.type.value.upper()}"
            " identifier for a certificate",
            fix="write internationalised names as A-labels (xn--…)",
        ) from error


def _subject(
    common_name: str | None, subject: Mapping[str, str]
) -> Iterator[x509.NameAttribute[str]]:
    """Yield the attributes of the subject, from the widest to the narrowest."""
    if unknown := sorted(set(subject) - set(_SUBJECT_ATTRIBUTES)):
        raise CertificateError(
            f"the subject of a CSR cannot have the attribute '{clean(unknown[0], 40)}'",
            fix=f"use {', '.join(_SUBJECT_ATTRIBUTES)}",
        )
    for attribute, oid in _SUBJECT_ATTRIBUTES.items():
        if attribute in subject:
            yield _attribute(attribute, oid, subject[attribute])
    if common_name is None:
        return
    if len(common_name.encode(errors="replace")) > LONGEST_COMMON_NAME:
        logger.info("event=common-name-left-out limit_bytes=%d", LONGEST_COMMON_NAME)
        return
    yield _attribute("CN", NameOID.COMMON_NAME, common_name)


def _attribute(attribute: str, oid: x509.ObjectIdentifier, value: str) -> x509.NameAttribute[str]:
    """Check one attribute against the lengths of RFC 5280 appendix A.1."""
    longest = _LONGEST.get(attribute, LONGEST_COMMON_NAME)
    is_valid = 0 < len(value) <= longest and value.isprintable()  # a surrogate is not printable
    if not is_valid or (attribute == "C" and not _COUNTRY.fullmatch(value)):
        raise CertificateError(
            f"the subject's {attribute} '{clean(value, 80)}' is not valid in a CSR: it is empty,"
            " too long or malformed",
            fix="C is a two-letter country code; O, OU and CN have at most 64 characters,"
            " L and ST 128",
        )
    return x509.NameAttribute(oid, value)
