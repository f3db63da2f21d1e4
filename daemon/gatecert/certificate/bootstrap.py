"""The self-signed certificate that a gateway serves until a CA has issued a trusted one.

Its organisation names gatecert, so that it cannot be confused with any other self-signed
certificate. It is a plain end-entity certificate (RFC 5280) for a TLS server: critical
basicConstraints without CA, names in subjectAltName. Nobody verifies it, so it is made quickly:
ECDSA P-256, one signature. A gateway that serves keys of two algorithms gets one of each, because
its server does not start without both.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gatecert.certificate import key
from gatecert.certificate.request import (
    LONGEST_COMMON_NAME,
    alternative_names,
    server_key_usage,
)
from gatecert.certificate.rules import is_signed_by
from gatecert.model import IssuedChain, KeyPolicy, KeyType, Origin

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gatecert.model import Identifier

ORGANIZATION = "gatecert bootstrap (self-signed)"
LIFETIME = timedelta(days=30)
ONE_KEY = KeyPolicy()
_BACKDATED = timedelta(hours=1)  # for clients whose clocks are slow


def bootstrap(
    identifiers: Sequence[Identifier],
    *,
    now: datetime,
    lifetime: timedelta = LIFETIME,
    key_policy: KeyPolicy = ONE_KEY,
) -> IssuedChain:
    """Make a key and its self-signed certificate, or one of each of two key types.

    Args:
        identifiers: The gateway's names, the hostname first.
        now: Aware; the certificate is valid from an hour earlier.
        lifetime: Validity, counted from ``now``.
        key_policy: The key types of a pair, where it has a second; a single certificate is always
            ECDSA P-256.

    Raises:
        CertificateError: There is no name, or one is not valid in a certificate.
    """
    if key_policy.second is None:
        return _self_signed(identifiers, KeyType.ECDSA_P256, now, lifetime)
    return replace(
        _self_signed(identifiers, key_policy.type, now, lifetime),
        second=_self_signed(identifiers, key_policy.second, now, lifetime),
    )


def _self_signed(
    identifiers: Sequence[Identifier], key_type: KeyType, now: datetime, lifetime: timedelta
) -> IssuedChain:
    names = alternative_names(identifiers)
    private_key = key.load(key.generate(key_type))
    public_key = private_key.public_key()
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, identifiers[0].value[:LONGEST_COMMON_NAME]),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(server_key_usage(key_encipherment=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .sign(private_key, hashes.SHA256())
    )
    return IssuedChain(
        private_key=key.to_pem(private_key),
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        chain=b"",
        origin=Origin.BOOTSTRAP,
    )


def is_bootstrap(certificate: x509.Certificate) -> bool:
    """Check that gatecert made a certificate: by its organisation, and self-signed."""
    if certificate.subject != certificate.issuer:
        return False
    organizations = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    named = [attribute.value for attribute in organizations] == [ORGANIZATION]
    return named and is_signed_by(certificate, certificate)
