"""Summary of an installed certificate.

Pure, and quick: it verifies only the signature of a bootstrap certificate. The ARI identifier is
that of RFC 9773 section 4.1: the keyIdentifier of authorityKeyIdentifier, a dot, and the contents
of the serial number's DER INTEGER with the leading zero that keeps it positive; each part base64url
without padding.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from gatecert.certificate import key
from gatecert.certificate.bootstrap import is_bootstrap
from gatecert.certificate.certificate_names import identifiers_of, name_text
from gatecert.certificate.extensions import extension
from gatecert.certificate.pem import serial_number, split_pem
from gatecert.errors import CertificateError
from gatecert.model import CertificateSummary

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


@lru_cache(maxsize=1024)  # a certificate is summarized again in every pass
def summarize(certificate_pem: bytes, chain_pem: bytes = b"") -> CertificateSummary:
    """Summarize a certificate and its intermediates, without validating them.

    Args:
        certificate_pem: One certificate.
        chain_pem: Its intermediates; may be empty.

    Raises:
        CertificateError: Either cannot be read, or there is more than one certificate.
    """
    certificates = split_pem(certificate_pem)
    if len(certificates) != 1:
        raise CertificateError(
            f"there are {len(certificates)} certificates instead of one",
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
    """Return the ARI CertID; empty where the certificate lacks a key identifier or a serial."""
    authority = extension(certificate, x509.AuthorityKeyIdentifier)
    identifier = authority.key_identifier if authority is not None else None
    serial = serial_number(certificate)
    if not identifier or serial <= 0:
        return ""
    serial_der = serial.to_bytes(serial.bit_length() // 8 + 1, "big", signed=True)
    return f"{_base64url(identifier)}.{_base64url(serial_der)}"


def demands_stapling(certificate: Certificate) -> bool:
    """Check for the TLS feature status_request (Must-Staple, RFC 7633 section 4.2.3.1)."""
    features = extension(certificate, x509.TLSFeature)
    return features is not None and x509.TLSFeatureType.status_request in features


def _fingerprint(certificate: Certificate) -> str:
    """Return the SHA-256 of the DER, lower-case hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _base64url(data: bytes) -> str:
    """Encode as base64url (RFC 4648 section 5), without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
