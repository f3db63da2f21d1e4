"""The validation certificate of tls-alpn-01 (RFC 8737 section 3, RFC 8738 section 6).

It is self-signed. It has exactly one subjectAltName, the validated identifier, and a critical
acmeIdentifier extension: the SHA-256 digest of the key authorization as an OCTET STRING. The SNI of
an IP address is its reverse-DNS name, because SNI may only hold DNS names (RFC 6066).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gatecert.model import Identifier, IdentifierType

if TYPE_CHECKING:
    from datetime import datetime

ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
LIFETIME = timedelta(days=7)
_BACKDATED = timedelta(days=1)  # allows for clock skew
_OCTET_STRING_OF_32 = b"\x04\x20"  # DER: tag and length

_REVERSE_IPV4 = re.compile(r"((?:[0-9]{1,3}\.){4})in-addr\.arpa")
_REVERSE_IPV6 = re.compile(r"((?:[0-9a-f]\.){32})ip6\.arpa")


@dataclass(frozen=True, slots=True)
class ValidationCertificate:
    """A validation certificate and its key."""

    certificate: x509.Certificate
    private_key: ec.EllipticCurvePrivateKey = field(repr=False)


def server_name(identifier: Identifier) -> str:
    """Return the SNI with which the authority validates an identifier."""
    if identifier.type is IdentifierType.IP:
        return ipaddress.ip_address(identifier.value).reverse_pointer
    return identifier.value


def identifier_from_server_name(name: str) -> Identifier:
    """Return the identifier of a server name; the inverse of `server_name`."""
    ipv4, ipv6 = _REVERSE_IPV4.fullmatch(name), _REVERSE_IPV6.fullmatch(name)
    try:
        if ipv4:
            text = ".".join(reversed(ipv4[1].rstrip(".").split(".")))
            return Identifier(IdentifierType.IP, str(ipaddress.IPv4Address(text)))
        if ipv6:
            number = int(ipv6[1].replace(".", "")[::-1], 16)
            return Identifier(IdentifierType.IP, str(ipaddress.IPv6Address(number)))
    except ValueError:  # 999.1.1.1, which is not an address
        pass
    return Identifier(IdentifierType.DNS, name)


def extension_value(key_authorization: str) -> bytes:
    """Return the value of the acmeIdentifier extension, DER."""
    return _OCTET_STRING_OF_32 + sha256(key_authorization.encode("ascii")).digest()


def make_validation_certificate(
    identifier: Identifier, key_authorization: str, *, now: datetime
) -> ValidationCertificate:
    """Make the validation certificate for a challenge.

    Raises:
        ValueError: A certificate cannot contain the name.
    """
    private_key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ACME challenge")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_general_name(identifier)]), critical=False)
        .add_extension(
            x509.UnrecognizedExtension(ACME_IDENTIFIER, extension_value(key_authorization)),
            critical=True,
        )
        .sign(private_key, hashes.SHA256())
    )
    return ValidationCertificate(certificate, private_key)


def matches_key_authorization(certificate: x509.Certificate, key_authorization: str) -> bool:
    """Check if a certificate is the validation certificate for a key authorization."""
    try:
        extension = certificate.extensions.get_extension_for_oid(ACME_IDENTIFIER)
    except (x509.ExtensionNotFound, ValueError):
        return False
    value = extension.value
    return isinstance(value, x509.UnrecognizedExtension) and value.value == extension_value(
        key_authorization
    )


def _general_name(identifier: Identifier) -> x509.GeneralName:
    if identifier.type is IdentifierType.IP:
        return x509.IPAddress(ipaddress.ip_address(identifier.value))
    return x509.DNSName(identifier.value)
