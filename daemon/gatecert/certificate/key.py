"""Private keys of certificates: generate, load, compare.

Keys are unencrypted PKCS #8 (RFC 5958) in PEM, because the gateway reads them unattended; file
permissions protect them. Only RSA and ECDSA are accepted: public CAs certify nothing else
(CA/Browser Forum Baseline Requirements section 6.1.1.3). No message reveals anything of a key.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gatecert.errors import CertificateError
from gatecert.model import KeyType

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_CURVES: dict[KeyType, type[ec.EllipticCurve]] = {
    KeyType.ECDSA_P256: ec.SECP256R1,
    KeyType.ECDSA_P384: ec.SECP384R1,
}
_MODULUS_BITS = {KeyType.RSA_2048: 2048, KeyType.RSA_3072: 3072, KeyType.RSA_4096: 4096}
_PUBLIC_EXPONENT = 65537


def generate(key_type: KeyType) -> bytes:
    """Generate a private key: PEM, PKCS #8, unencrypted."""
    key: PrivateKey
    if (curve := _CURVES.get(key_type)) is not None:
        key = ec.generate_private_key(curve())
    else:
        key = rsa.generate_private_key(_PUBLIC_EXPONENT, _MODULUS_BITS[key_type])
    return to_pem(key)


def to_pem(key: PrivateKey) -> bytes:
    """Serialise a private key: PEM, PKCS #8, unencrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def load(pem: bytes) -> PrivateKey:
    """Load a private key: PKCS #8, or the older formats of OpenSSL.

    Raises:
        CertificateError: It cannot be read, is encrypted, or is neither RSA nor ECDSA.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise CertificateError(
            "the private key is encrypted: the gateway cannot read it unattended",
            fix="remove the passphrase: openssl pkey -in OLD -out NEW",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(
            "the private key cannot be read: it is damaged or not a PEM private key",
            fix="restore the file, or enrol again with a new key",
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CertificateError(
            "the private key is neither RSA nor ECDSA: public CAs certify no other type",
            fix=f"use one of the key types {', '.join(KeyType)}",
        )
    return key


def public_key(holder: bytes) -> CertificatePublicKeyTypes:
    """Return the public key of a private key or of a CSR, PEM.

    Raises:
        CertificateError: It cannot be read; see `load`.
    """
    if b"CERTIFICATE REQUEST-----" not in holder:
        return load(holder).public_key()
    try:
        return x509.load_pem_x509_csr(holder).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError("the CSR cannot be read: it is damaged") from error


def kind(private_key: PrivateKey) -> KeyType | None:
    """Return the type of a key; None for sizes and curves that `generate` does not make."""
    if isinstance(private_key, rsa.RSAPrivateKey):
        bits = private_key.key_size
        return next((each for each, size in _MODULUS_BITS.items() if size == bits), None)
    curve = private_key.curve
    return next((each for each, made in _CURVES.items() if isinstance(curve, made)), None)


def fingerprint(public_key: CertificatePublicKeyTypes) -> str:
    """Return the SHA-256 of the SubjectPublicKeyInfo DER, lower-case hexadecimal."""
    return sha256(
        public_key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    ).hexdigest()
