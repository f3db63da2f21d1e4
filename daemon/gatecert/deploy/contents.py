"""Contents of copies: PEM (RFC 7468), DER (X.690), or PKCS #12 (RFC 7292).

PKCS #12 is salted, so the same certificate never makes the same file twice; a file is decrypted to
compare it. Key and certificates are encrypted with AES-256 (PBES2 with HMAC-SHA-256, RFC 8018),
which Java 8u301, OpenSSL 1.1 and Windows Server 2019 read. The only entry is called ``gatecert``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from gatecert.certificate import key
from gatecert.model import FileContents
from gatecert.store.pem_files import joined

if TYPE_CHECKING:
    from gatecert.model import Version

ENTRY_NAME: Final = b"gatecert"
ROUNDS: Final = 100_000  # of PBKDF2; the password is on the same disk, more rounds protect nothing


def contents(  # noqa: PLR0911 - one for each kind
    kind: FileContents, version: Version, private_key: bytes, password: bytes = b""
) -> bytes:
    """Make the content of a copy.

    Args:
        kind: Which parts, in which format.
        version: The certificate and its chain.
        private_key: The private key, PEM.
        password: For PKCS #12 only.
    """
    match kind:
        case FileContents.PRIVKEY:
            return joined(private_key)
        case FileContents.CERT:
            return joined(version.certificate)
        case FileContents.CHAIN:
            return joined(version.chain)
        case FileContents.FULLCHAIN:
            return joined(version.certificate, version.chain)
        case FileContents.COMBINED:
            return joined(version.certificate, version.chain, private_key)
        case FileContents.PRIVKEY_DER:
            return key.load(private_key).private_bytes(
                serialization.Encoding.DER,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        case FileContents.CERT_DER:
            return _leaf(version).public_bytes(serialization.Encoding.DER)
        case FileContents.PKCS12:
            return pkcs12.serialize_key_and_certificates(
                ENTRY_NAME, key.load(private_key), _leaf(version), _chain(version), _lock(password)
            )


def holds(
    data: bytes,
    kind: FileContents,
    version: Version,
    private_key: bytes,
    password: bytes = b"",
) -> bool:
    """Tell whether a file holds what ``contents`` makes of the same arguments."""
    if kind is not FileContents.PKCS12:
        return data == contents(kind, version, private_key)
    try:
        found = pkcs12.load_pkcs12(data, password)
    except ValueError:  # damaged, or encrypted with another password
        return False
    if found.key is None or found.cert is None:
        return False
    return (
        found.key.public_key() == key.load(private_key).public_key()
        and (found.cert.friendly_name, found.cert.certificate) == (ENTRY_NAME, _leaf(version))
        and [each.certificate for each in found.additional_certs] == _chain(version)
    )


def _leaf(version: Version) -> x509.Certificate:
    return x509.load_pem_x509_certificate(version.certificate)


def _chain(version: Version) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(version.chain) if version.chain.strip() else []


def _lock(password: bytes) -> serialization.KeySerializationEncryption:
    return (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(ROUNDS)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(password)
    )
