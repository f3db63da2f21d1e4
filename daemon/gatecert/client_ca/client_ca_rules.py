"""Checks of client CAs and of the certificates that they issue. Pure.

RFC 5280: basicConstraints (section 4.2.1.9), keyUsage (4.2.1.3) and extKeyUsage (4.2.1.12), which
OpenSSL applies to issuers as well. basicConstraints is required. A missing keyUsage or extKeyUsage
restricts nothing; many home-made CAs have no keyUsage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gatecert.certificate.certificate_names import label
from gatecert.certificate.extensions import extension, is_ca
from gatecert.certificate.rules import (
    check_key,
    check_signature_algorithm,
    is_signed_by,
)
from gatecert.errors import CertificateError
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from cryptography.x509 import Certificate

FOR_CLIENTS = frozenset(
    {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
)


def is_root(certificate: Certificate) -> bool:
    """Check if a certificate names itself as its issuer."""
    return certificate.subject == certificate.issuer


def check_client_ca(certificate: Certificate, *, now: datetime) -> None:
    """Check that a certificate can be a client CA.

    Raises:
        CertificateError: It cannot.
    """
    what = "the root" if is_root(certificate) else "the intermediate"
    if not is_ca(certificate):
        raise CertificateError(
            f"{label(certificate)} is not a CA certificate: its basicConstraints lack CA:TRUE",
            fix="give the certificate of the CA that signs the client certificates, not a"
            " client's or a server's",
        )
    if is_root(certificate) and not is_signed_by(certificate, certificate, allow_forgeable=True):
        raise CertificateError(
            f"the root {label(certificate)} names itself as its issuer, but its own key did not"
            " sign it",
            fix="get the CA's certificate again, and compare its fingerprint",
        )
    check_key(certificate, what)
    if not is_root(certificate):
        check_signature_algorithm(certificate, what)
    for problem in usage_problems(certificate):
        raise CertificateError(
            f"{what} {label(certificate)} {problem}",
            fix="give the certificate of the CA that signs the client certificates",
        )
    for problem in date_problems(certificate, now=now):
        raise CertificateError(
            f"{what} {label(certificate)} {problem}",
            fix="give the CA's current certificate; if this is it, check this machine's clock,"
            f" which says {instant(now)}",
        )


def path_length(certificate: Certificate) -> int | None:
    """Return how many intermediates a CA allows below itself; None for any number."""
    constraints = extension(certificate, x509.BasicConstraints)
    return constraints.path_length if constraints is not None else None


def usage_problems(certificate: Certificate) -> Iterator[str]:
    """Yield why a CA's usages do not let it issue client certificates."""
    usage = extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        yield "may not sign certificates: its key usage lacks keyCertSign"
    if not is_for_clients(certificate):
        yield "may not issue for TLS clients: its extended key usage lacks clientAuth"


def is_for_clients(certificate: Certificate) -> bool:
    """Check if the extended key usage, if any, allows TLS clients."""
    extended = extension(certificate, x509.ExtendedKeyUsage)
    return extended is None or not FOR_CLIENTS.isdisjoint(extended)


def date_problems(certificate: Certificate, *, now: datetime) -> Iterator[str]:
    """Yield why a certificate is not valid now."""
    if certificate.not_valid_after_utc < now:
        yield f"expired on {instant(certificate.not_valid_after_utc)}"
    if certificate.not_valid_before_utc > now:
        yield f"is not valid before {instant(certificate.not_valid_before_utc)}"


def can_sign_handshakes(certificate: Certificate) -> bool:
    """Check if the key usage, if any, allows a TLS client to prove that it has the key."""
    usage = extension(certificate, x509.KeyUsage)
    return usage is None or usage.digital_signature or usage.key_agreement
