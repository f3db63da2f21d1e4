"""Names in a certificate, and the labels by which messages refer to it. Pure.

CAs write subjects and issuers, so their text is cleaned before it is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import NameOID

from gatecert.certificate.extensions import extension
from gatecert.certificate.pem import serial_number
from gatecert.errors import clean
from gatecert.model import Identifier, IdentifierType

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST_LABEL = 120


def identifiers_of(
    named: x509.Certificate | x509.CertificateSigningRequest,
) -> tuple[Identifier, ...]:
    """Return the DNS names and addresses in subjectAltName, in order, without repetition."""
    names = extension(named, x509.SubjectAlternativeName) or ()
    found: dict[Identifier, None] = {}
    for name in names:
        if isinstance(name, x509.DNSName):
            found[Identifier(IdentifierType.DNS, name.value.lower())] = None
        elif isinstance(name, x509.IPAddress):
            found[Identifier(IdentifierType.IP, str(name.value))] = None
    return tuple(found)


def uncovered_names(
    identifiers: Iterable[Identifier], present: Iterable[Identifier]
) -> tuple[Identifier, ...]:
    """Return the names that a certificate does not cover, matched like clients do (RFC 9525 6.3).

    Args:
        identifiers: The names that it has to cover.
        present: The names in it; a wildcard covers one label.
    """
    given = frozenset(present)
    zones = {name.value.removeprefix("*.") for name in given if name.is_wildcard}
    return tuple(
        name
        for name in identifiers
        if name not in given
        and (
            name.type is not IdentifierType.DNS
            or name.is_wildcard
            or name.value.partition(".")[2] not in zones
        )
    )


def name_text(name: x509.Name) -> str:
    """Return a distinguished name as RFC 4514 text, cleaned."""
    return clean(name.rfc4514_string())


def short_name(name: x509.Name) -> str:
    """Return the common name, or the whole distinguished name where there is none; cleaned."""
    common_names = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(common_names) == 1:
        return clean(str(common_names[0].value), _LONGEST_LABEL)
    return clean(name.rfc4514_string(), _LONGEST_LABEL)


def label(certificate: x509.Certificate) -> str:
    """Return how an error refers to a certificate: by subject, else first name, else serial."""
    text = clean(certificate.subject.rfc4514_string(), _LONGEST_LABEL)
    if not text:
        identifiers = identifiers_of(certificate)
        text = (
            clean(identifiers[0].value, _LONGEST_LABEL)
            if identifiers
            else f"serial {serial_number(certificate):x}"
        )
    return f"'{text}'"
