"""A client CA, and a user's certificate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class User:
    """Files of a user, PEM.

    Attributes:
        authority: The certificate of the client CA.
    """

    authority: Path
    certificate: Path
    private_key: Path


def make_user(directory: Path, name: str) -> User:
    """Make a client CA and the certificate of one user."""
    directory.mkdir(parents=True, exist_ok=True)
    authority_key, user_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = _name("Users of the gateway")
    authority = (
        _builder(authority_name, authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        _builder(_name(name), authority_name, user_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    user = User(directory / "users-ca.pem", directory / "user.pem", directory / "user-key.pem")
    user.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    user.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    user.private_key.touch(mode=0o600)
    user.private_key.write_bytes(
        user_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return user


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
    )
