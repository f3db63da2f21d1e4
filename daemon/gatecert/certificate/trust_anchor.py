"""Trust anchors as names with keys. Pure.

OpenSSL and GnuTLS accept some chains that a strict validator refuses. A trust anchor is a name and
a key (RFC 5280 section 6.1.1 d); the certificate around them does not matter. So a root of X.509
version 1, which has no extensions, is as good as any other. DNS name constraints have no leading
dot (section 4.2.1.10), yet private CAs write one, and OpenSSL reads ``.corp.lan`` as the names
below ``corp.lan``. Such a certificate is replaced by one with the same name, key and dates, whose
constraints follow the RFC.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from gatecert.certificate.extensions import extension, is_ca

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from gatecert.model import Identifier


def as_anchor(
    certificate: x509.Certificate, constraints: x509.NameConstraints | None = None
) -> x509.Certificate:
    """Return a certificate as a trust anchor that the validator accepts.

    Args:
        certificate: A CA certificate; returned unchanged where it is acceptable.
        constraints: Name constraints to apply instead of its own.
    """
    own = name_constraints(certificate)
    if constraints is None and certificate.version is not x509.Version.v1 and not _is_dotted(own):
        return certificate
    return _substitute(certificate, _undotted(constraints or own))


def name_constraints(certificate: x509.Certificate) -> x509.NameConstraints | None:
    """Return the name constraints of a certificate."""
    if certificate.version is x509.Version.v1:
        return None
    return extension(certificate, x509.NameConstraints)


def has_dotted_constraints(certificate: x509.Certificate) -> bool:
    """Check for a DNS name constraint with a leading dot."""
    return _is_dotted(name_constraints(certificate))


def is_apex_of_dotted(certificate: x509.Certificate, name: Identifier) -> bool:
    """Check whether ``.corp.lan`` is permitted but the name ``corp.lan`` itself is not."""
    constraints = name_constraints(certificate)
    permitted = (constraints.permitted_subtrees if constraints is not None else None) or ()
    names = [each.value.lower() for each in permitted if isinstance(each, x509.DNSName)]
    return f".{name.value}" in names and not any(
        name.value == each or name.value.endswith(f".{each}")
        for each in names
        if each and not each.startswith(".")
    )


def can_anchor(certificate: x509.Certificate, now: datetime) -> bool:
    """Check whether a chain can end in a certificate: a CA certificate that has not expired."""
    if certificate.not_valid_after_utc <= now:
        return False
    return certificate.version is x509.Version.v1 or is_ca(certificate)


@lru_cache(maxsize=1)
def _any_key() -> ec.EllipticCurvePrivateKey:
    """Return a key that signs substitutes; nobody verifies the signature of an anchor."""
    return ec.generate_private_key(ec.SECP256R1())


def _substitute(
    certificate: x509.Certificate, constraints: x509.NameConstraints | None
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(certificate.subject)
        .issuer_name(certificate.subject)
        .public_key(certificate.public_key())
        .serial_number(1)
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if constraints is not None:
        builder = builder.add_extension(constraints, critical=True)
    return builder.sign(_any_key(), hashes.SHA256())


def _is_dotted(constraints: x509.NameConstraints | None) -> bool:
    if constraints is None:
        return False
    some = (*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ()))
    return any(isinstance(each, x509.DNSName) and each.value.startswith(".") for each in some)


def _undotted(constraints: x509.NameConstraints | None) -> x509.NameConstraints | None:
    if constraints is None:
        return None
    return x509.NameConstraints(
        _names(constraints.permitted_subtrees), _names(constraints.excluded_subtrees)
    )


def _names(subtrees: Iterable[x509.GeneralName] | None) -> list[x509.GeneralName] | None:
    if subtrees is None:
        return None
    return [
        x509.DNSName(each.value.removeprefix(".")) if isinstance(each, x509.DNSName) else each
        for each in subtrees
    ]
