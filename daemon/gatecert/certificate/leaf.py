"""The rules that the gateway's own certificate has to keep, one function a rule. Pure.

RFC 5280 section 4.2 for the extensions, RFC 9525 for names; what was asked for has to stand there
literally, so a wildcard covers nothing but itself. Each refusal names the certificate, the rule
and the remedy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from gatecert.certificate import key
from gatecert.certificate.certificate_names import identifiers_of, label
from gatecert.certificate.pem import serial_number
from gatecert.certificate.rules import check_key, check_signature_algorithm
from gatecert.errors import CertificateError, clean
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from gatecert.certificate.rules import ValidationTime
    from gatecert.model import Identifier

_NAMES_SHOWN = 5


def find_leaf(
    certificates: Sequence[x509.Certificate],
    private_key: bytes,
    preferred: Collection[x509.Certificate] = (),
) -> x509.Certificate:
    """The certificate of a private key, wherever in the chain it stands.

    Args:
        certificates: At least one, without repetition.
        private_key: PEM.
        preferred: Where there are several for the key, the only one of these is meant.

    Raises:
        CertificateError: The key cannot be read, or there is not exactly one certificate for it.
    """
    wanted = key.fingerprint(key.load(private_key).public_key())
    ours = [each for each in certificates if key.fingerprint(each.public_key()) == wanted]
    if not ours:
        raise CertificateError(
            f"the private key does not belong to the certificate {label(certificates[0])}",
            fix="give the certificate that was made from this gateway's latest request",
        )
    meant = [each for each in ours if each in preferred]
    if len(ours) > 1 and len(meant) != 1:
        raise CertificateError(
            f"there are {len(ours)} different certificates for the same private key:"
            f" {_listed(map(_apart, ours))}",
            fix="leave only the one that the gateway is to serve",
        )
    return (meant or ours)[0]


def check_leaf(
    leaf: x509.Certificate, identifiers: Iterable[Identifier], clock: ValidationTime
) -> tuple[str, ...]:
    """Hold the gateway's certificate to every rule.

    Returns:
        Notes for the operator.

    Raises:
        CertificateError: It breaks a rule.
    """
    _check_not_authority(leaf)
    check_signature_algorithm(leaf, "the certificate")
    check_key(leaf, "the certificate")
    _check_names(leaf, identifiers)
    note = clock.check(leaf, "the certificate")
    _check_usages(leaf)
    return (note,) if note else ()


def _apart(certificate: x509.Certificate) -> str:
    """A certificate with what tells it from another of the same name."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    serial = f"serial {serial_number(certificate):x}"
    return f"{label(certificate)} ({serial}, {instant(begin)} to {instant(end)})"


def _check_not_authority(leaf: x509.Certificate) -> None:
    """Refuse a CA certificate and one that nobody but its owner vouches for."""
    try:
        constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        pass
    else:
        if constraints.value.ca:
            raise CertificateError(
                f"the certificate {label(leaf)} is an authority's (CA:TRUE): clients do not take"
                " it from a server",
                fix="have a server certificate issued from the gateway's request",
            )
    try:
        leaf.verify_directly_issued_by(leaf)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return
    raise CertificateError(
        f"the certificate {label(leaf)} is self-signed: no authority vouches for it",
        fix="have the gateway's request signed by an authority that the clients trust",
    )


def _check_names(leaf: x509.Certificate, identifiers: Iterable[Identifier]) -> None:
    """Refuse a certificate that lacks a name of the gateway."""
    present = identifiers_of(leaf)
    missing = [str(name) for name in identifiers if name not in present]
    if missing:
        there = _listed(clean(name.value, 255) for name in present)
        raise CertificateError(
            f"the certificate {label(leaf)} is not for {_listed(missing)}: its subjectAltName has"
            f" {there or 'no name at all'}",
            fix="have it issued for every name of the gateway, or take the name out of the"
            " configuration",
        )


def _check_usages(leaf: x509.Certificate) -> None:
    """Refuse a certificate whose usages do not allow a TLS server."""
    extensions = leaf.extensions
    try:
        extended = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        pass  # absent means unrestricted, RFC 5280 section 4.2.1.12
    else:
        if ExtendedKeyUsageOID.SERVER_AUTH not in extended:
            raise CertificateError(
                f"the certificate {label(leaf)} is not for TLS servers: its extended key usage"
                " lacks serverAuth",
                fix="have it issued with a server profile or template",
            )
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
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
            f"the certificate {label(leaf)} may sign other certificates (keyCertSign), which no"
            " server certificate may",
            fix="have it issued with a server profile or template",
        )


def _listed(texts: Iterable[str]) -> str:
    """Texts on one line, cut after the first few."""
    every = list(texts)
    more = f" and {len(every) - _NAMES_SHOWN} more" if len(every) > _NAMES_SHOWN else ""
    return ", ".join(every[:_NAMES_SHOWN]) + more
