"""X.509 extensions (RFC 5280 section 4.2), as the checks read them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from cryptography import x509

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

Extension = TypeVar("Extension", bound=x509.ExtensionType)


class _WithExtensions(Protocol):
    """A certificate, CSR, CRL or CRL entry."""

    @property
    def extensions(self) -> x509.Extensions:
        """The extensions."""
        ...


def extension(holder: _WithExtensions, kind: type[Extension]) -> Extension | None:
    """Return the value of an extension, None where it is absent."""
    try:
        return holder.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def is_ca(certificate: Certificate) -> bool:
    """Check that basicConstraints says CA:TRUE."""
    constraints = extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def subject_key_identifier(certificate: Certificate) -> str:
    """Return the identifier of the certificate's key, colon-separated hexadecimal; may be empty."""
    found = extension(certificate, x509.SubjectKeyIdentifier)
    return found.digest.hex(":").upper() if found is not None else ""


def authority_key_identifier(certificate: Certificate) -> str:
    """Return the identifier of the issuer's key, colon-separated hexadecimal; may be empty."""
    found = extension(certificate, x509.AuthorityKeyIdentifier)
    identifier = found.key_identifier if found is not None else None
    return identifier.hex(":").upper() if identifier else ""
