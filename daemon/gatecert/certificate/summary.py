"""What has to be known of an installed certificate, read anew on every pass.

Pure, and quick: nothing is verified but the one signature that tells a bootstrap. The ARI
identifier is that of RFC 9773 section 4.1: the keyIdentifier of authorityKeyIdentifier, a dot, and
the contents of the serial number's DER INTEGER with the leading zero that keeps it positive; each
part base64url without padding.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from gatecert.certificate import key
from gatecert.certificate.bootstrap import is_bootstrap
from gatecert.certificate.certificate_names import identifiers_of, name_text
from gatecert.certificate.pem import serial_number, split_pem
from gatecert.errors import CertificateError
from gatecert.model import CertificateSummary

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def summarize(certificate_pem: bytes, chain_pem: bytes = b"") -> CertificateSummary:
    """Summarize a certificate and its intermediates; nothing is said of their soundness.

    Args:
        certificate_pem: One certificate.
        chain_pem: Its intermediates; may be empty.

    Raises:
        CertificateError: Either cannot be read, or there is more than one certificate.
    """
    certificates = split_pem(certificate_pem)
    if len(certificates) != 1:
        raise CertificateError(
            f"there are {len(certificates)} certificates where exactly one belongs",
            fix="keep the certificate in cert.pem and its issuers in chain.pem",
        )
    certificate = certificates[0]
    chain = split_pem(chain_pem) if chain_pem.strip() else []
    return CertificateSummary(
        subject=name_text(certificate.subject),
        issuer=name_text(certificate.issuer),
        identifiers=identifiers_of(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        fingerprint=_fingerprint(certificate),
        chain_fingerprints=tuple(_fingerprint(issuer) for issuer in chain),
        key_fingerprint=key.fingerprint(certificate.public_key()),
        is_bootstrap=is_bootstrap(certificate),
        certificate_id=certificate_id(certificate),
        key_algorithm="rsa" if isinstance(certificate.public_key(), rsa.RSAPublicKey) else "ecdsa",
        must_staple=demands_stapling(certificate),
    )


def certificate_id(certificate: Certificate) -> str:
    """The ARI CertID; empty where there is nothing sound to build it from."""
    try:
        authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        return ""
    serial = serial_number(certificate)
    if not authority.value.key_identifier or serial <= 0:
        return ""
    serial_der = serial.to_bytes(serial.bit_length() // 8 + 1, "big", signed=True)
    return f"{_base64url(authority.value.key_identifier)}.{_base64url(serial_der)}"


def demands_stapling(certificate: Certificate) -> bool:
    """Whether the certificate has the TLS feature status_request (RFC 7633 section 4.2.3.1)."""
    try:
        features = certificate.extensions.get_extension_for_class(x509.TLSFeature).value
    except x509.ExtensionNotFound:
        return False
    return x509.TLSFeatureType.status_request in features


def _fingerprint(certificate: Certificate) -> str:
    """SHA-256 of the DER, lower-case hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _base64url(data: bytes) -> str:
    """RFC 4648 section 5, without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
