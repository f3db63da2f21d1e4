"""What a certificate is called: the names in it, and the name by which an operator is told of it.

Pure. Subjects and issuers are written by authorities, so their text is cleaned before it is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import NameOID

from gatecert.certificate.pem import serial_number
from gatecert.errors import clean
from gatecert.model import Identifier, IdentifierType

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST_LABEL = 120


def identifiers_of(
    named: x509.Certificate | x509.CertificateSigningRequest,
) -> tuple[Identifier, ...]:
    """The DNS names and addresses in subjectAltName, in order, without repetition."""
    try:
        names = named.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
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
    """The names that a certificate is not for, as clients compare them (RFC 9525 section 6.3).

    Args:
        identifiers: The names that it has to be good for.
        present: Those that stand in it; a wildcard is good for one label in its place.
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
    """A distinguished name as RFC 4514 text, cleaned."""
    return clean(name.rfc4514_string())


def short_name(name: x509.Name) -> str:
    """The common name, or the whole distinguished name where there is none; cleaned."""
    common_names = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(common_names) == 1:
        return clean(str(common_names[0].value), _LONGEST_LABEL)
    return clean(name.rfc4514_string(), _LONGEST_LABEL)


def label(certificate: x509.Certificate) -> str:
    """A certificate as an error names it: by subject, else by first name, else by serial."""
    text = clean(certificate.subject.rfc4514_string(), _LONGEST_LABEL)
    if not text:
        identifiers = identifiers_of(certificate)
        text = (
            clean(identifiers[0].value, _LONGEST_LABEL)
            if identifiers
            else f"serial {serial_number(certificate):x}"
        )
    return f"'{text}'"
