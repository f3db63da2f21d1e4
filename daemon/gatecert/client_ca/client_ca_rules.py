"""The rules that an authority of users has to keep, one function a rule. Pure.

RFC 5280: basicConstraints (section 4.2.1.9), keyUsage (4.2.1.3), extKeyUsage (4.2.1.12), which
OpenSSL applies to issuers as well. What an issuer leaves unsaid does not bind it, and much
home-made software leaves keyUsage unsaid; basicConstraints it has to say.
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
    """Whether a certificate names itself as its issuer."""
    return certificate.subject == certificate.issuer


def check_client_ca(certificate: Certificate, *, now: datetime) -> None:
    """Hold a certificate that is handed in to every rule.

    Raises:
        CertificateError: It breaks one.
    """
    what = "the root" if is_root(certificate) else "the intermediate"
    if not is_ca(certificate):
        raise CertificateError(
            f"{label(certificate)} is no authority's certificate: its basicConstraints lack"
            " CA:TRUE",
            fix="give the certificate of the authority that signs the users' certificates, not a"
            " user's or a server's",
        )
    if is_root(certificate) and not is_signed_by(certificate, certificate, allow_forgeable=True):
        raise CertificateError(
            f"the root {label(certificate)} names itself as its issuer, but its own key did not"
            " sign it",
            fix="fetch the authority's certificate again, and compare its fingerprint",
        )
    check_key(certificate, what)
    if not is_root(certificate):
        check_signature_algorithm(certificate, what)
    for problem in usage_problems(certificate):
        raise CertificateError(
            f"{what} {label(certificate)} {problem}",
            fix="give the authority that signs the users' certificates",
        )
    for problem in date_problems(certificate, now=now):
        raise CertificateError(
            f"{what} {label(certificate)} {problem}",
            fix="give the authority's current certificate; if this is it, check this machine's"
            f" clock, which says {instant(now)}",
        )


def path_length(certificate: Certificate) -> int | None:
    """How many intermediates it allows below itself; None for any number."""
    constraints = extension(certificate, x509.BasicConstraints)
    return constraints.path_length if constraints is not None else None


def usage_problems(certificate: Certificate) -> Iterator[str]:
    """Why an authority's usages do not let it issue user certificates."""
    usage = extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        yield "may not sign certificates: its key usage lacks keyCertSign"
    if not is_for_clients(certificate):
        yield "may not issue for TLS clients: its extended key usage lacks clientAuth"


def is_for_clients(certificate: Certificate) -> bool:
    """Whether the extended key usage, if any, allows TLS clients."""
    extended = extension(certificate, x509.ExtendedKeyUsage)
    return extended is None or not FOR_CLIENTS.isdisjoint(extended)


def date_problems(certificate: Certificate, *, now: datetime) -> Iterator[str]:
    """Why a certificate is not valid now."""
    if certificate.not_valid_after_utc < now:
        yield f"ended on {instant(certificate.not_valid_after_utc)}"
    if certificate.not_valid_before_utc > now:
        yield f"is not valid before {instant(certificate.not_valid_before_utc)}"


def can_sign_handshakes(certificate: Certificate) -> bool:
    """Whether the key usage, if any, allows a TLS client to prove that it has the key."""
    usage = extension(certificate, x509.KeyUsage)
    return usage is None or usage.digital_signature or usage.key_agreement
