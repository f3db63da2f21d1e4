"""Rules for the gateway's own certificate, one function a rule. Pure.

RFC 5280 section 4.2 for the extensions, RFC 9525 for names; requested names must appear
literally, so a wildcard covers only itself. Each error names the certificate, the rule and the
fix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from gatecert.certificate import key
from gatecert.certificate.certificate_names import identifiers_of, label
from gatecert.certificate.extensions import extension, is_ca
from gatecert.certificate.pem import serial_number
from gatecert.certificate.rules import check_key, check_signature_algorithm, is_signed_by
from gatecert.errors import CertificateError, clean
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from gatecert.certificate.rules import ValidationTime
    from gatecert.model import Identifier

_NAMES_SHOWN = 5


def find_leaf(
    certificates: Sequence[x509.Certificate],
    holder: bytes,
    preferred: Collection[x509.Certificate] = (),
) -> x509.Certificate:
    """Return the certificate of a private key, wherever in the chain it is.

    Args:
        certificates: At least one, without repetition.
        holder: The private key, or a CSR that it has signed; PEM.
        preferred: Of several for the key, the only one among these is used.

    Raises:
        CertificateError: The key cannot be read, or does not have exactly one certificate.
    """
    wanted = key.fingerprint(key.public_key(holder))
    ours = [each for each in certificates if key.fingerprint(each.public_key()) == wanted]
    if not ours:
        raise CertificateError(
            f"the private key does not belong to the certificate {label(certificates[0])}",
            fix="give the certificate issued for this gateway's latest CSR",
        )
    meant = [each for each in ours if each in preferred]
    if len(ours) > 1 and len(meant) != 1:
        raise CertificateError(
            f"there are {len(ours)} different certificates for the same private key:"
            f" {_listed(map(_described, ours))}",
            fix="keep only the one that the gateway should serve",
        )
    return (meant or ours)[0]


def check_leaf(
    leaf: x509.Certificate, identifiers: Iterable[Identifier], time: ValidationTime
) -> tuple[str, ...]:
    """Check every rule for the gateway's certificate.

    Returns:
        Notes for the operator.

    Raises:
        CertificateError: It breaks a rule.
    """
    _check_not_ca(leaf)
    check_signature_algorithm(leaf, "the certificate")
    check_key(leaf, "the certificate")
    _check_names(leaf, identifiers)
    note = time.check(leaf, "the certificate")
    _check_usages(leaf)
    return (note,) if note else ()


def _described(certificate: x509.Certificate) -> str:
    """Return a label that distinguishes certificates of the same name."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    serial = f"serial {serial_number(certificate):x}"
    return f"{label(certificate)} ({serial}, {instant(begin)} to {instant(end)})"


def _check_not_ca(leaf: x509.Certificate) -> None:
    """Refuse a CA certificate and a self-signed one."""
    if is_ca(leaf):
        raise CertificateError(
            f"the certificate {label(leaf)} is a CA certificate (CA:TRUE): clients refuse it from a"
            " server",
            fix="have a server certificate issued for the gateway's CSR",
        )
    if is_signed_by(leaf, leaf):
        raise CertificateError(
            f"the certificate {label(leaf)} is self-signed: no CA issued it",
            fix="have the gateway's CSR signed by a CA that the clients trust",
        )


def _check_names(leaf: x509.Certificate, identifiers: Iterable[Identifier]) -> None:
    """Refuse a certificate that lacks a name of the gateway."""
    present = identifiers_of(leaf)
    missing = [str(name) for name in identifiers if name not in present]
    if missing:
        there = _listed(clean(name.value, 255) for name in present)
        raise CertificateError(
            f"the certificate {label(leaf)} is not for {_listed(missing)}: its subjectAltName has"
            f" {there or 'no name'}",
            fix="have it issued for every name of the gateway, or remove the name from the"
            " configuration",
        )


def _check_usages(leaf: x509.Certificate) -> None:
    """Refuse a certificate whose key usages do not allow a TLS server."""
    extended = extension(leaf, x509.ExtendedKeyUsage)
    # Absent means unrestricted, RFC 5280 section 4.2.1.12.
    if extended is not None and ExtendedKeyUsageOID.SERVER_AUTH not in extended:
        raise CertificateError(
            f"the certificate {label(leaf)} is not for TLS servers: its extended key usage lacks"
            " serverAuth",
            fix="have it issued with a server profile or template",
        )
    usage = extension(leaf, x509.KeyUsage)
    if usage is None:
        return
    key_transport = isinstance(leaf.public_key(), rsa.RSAPublicKey) and usage.key_encipherment
    if not (usage.digital_signature or key_transport):
        raise CertificateError(
            f"the certificate {label(leaf)} cannot be used in a TLS handshake: its key usage lacks"
            " digitalSignature",
            fix="have it issued with a server profile or template",
        )
    if usage.key_cert_sign:
        raise CertificateError(
            f"the certificate {label(leaf)} may sign other certificates (keyCertSign), which a"
            " server certificate must not",
            fix="have it issued with a server profile or template",
        )


def _listed(texts: Iterable[str]) -> str:
    """Join texts on one line, cut after the first few."""
    every = list(texts)
    more = f" and {len(every) - _NAMES_SHOWN} more" if len(every) > _NAMES_SHOWN else ""
    return ", ".join(every[:_NAMES_SHOWN]) + more
