"""A client CA, and a user's certificate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from harness.certificates import certificate_builder, common_name, write_key


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
    authority_name = common_name("Users of the gateway")
    authority = (
        certificate_builder(authority_name, authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        certificate_builder(common_name(name), authority_name, user_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    user = User(directory / "users-ca.pem", directory / "user.pem", directory / "user-key.pem")
    user.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    user.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    write_key(user.private_key, user_key)
    return user
