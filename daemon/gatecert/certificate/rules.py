"""Rules for every certificate of a chain: dates, signature and key. Pure.

Signatures with MD5 and SHA-1 can be forged (RFC 6151, RFC 9155); key sizes are those of the
CA/Browser Forum Baseline Requirements section 6.1.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import PublicKeyAlgorithmOID, SignatureAlgorithmOID

from gatecert.certificate.certificate_names import label
from gatecert.errors import CertificateError
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.x509 import Certificate

SMALLEST_MODULUS = 2048  # bits

_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_FORGEABLE_HASHES = (hashes.MD5, hashes.SHA1)

# The issuer keys and signatures that ``cryptography``'s validator supports.
_KNOWN_KEYS = {PublicKeyAlgorithmOID.RSAES_PKCS1_v1_5, PublicKeyAlgorithmOID.EC_PUBLIC_KEY}
_KNOWN_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_KNOWN_SIGNATURES = {
    SignatureAlgorithmOID.RSA_WITH_SHA256,
    SignatureAlgorithmOID.RSA_WITH_SHA384,
    SignatureAlgorithmOID.RSA_WITH_SHA512,
    SignatureAlgorithmOID.ECDSA_WITH_SHA256,
    SignatureAlgorithmOID.ECDSA_WITH_SHA384,
    SignatureAlgorithmOID.ECDSA_WITH_SHA512,
}
_KEYS = {
    PublicKeyAlgorithmOID.ED25519: "an Ed25519 key",
    PublicKeyAlgorithmOID.ED448: "an Ed448 key",
    PublicKeyAlgorithmOID.DSA: "a DSA key",
    PublicKeyAlgorithmOID.RSASSA_PSS: "an RSA key for RSASSA-PSS only",
}


@dataclass(frozen=True, slots=True)
class ValidationTime:
    """The instant at which certificates are validated, and the tolerated clock skew.

    Attributes:
        now: Aware UTC.
        skew: How far in the future a certificate may begin.
    """

    now: datetime
    skew: timedelta

    def check(self, certificate: Certificate, what: str) -> str:
        """Refuse a certificate that has expired or is not valid yet.

        Args:
            certificate: The certificate.
            what: Its role in the chain, for the message.

        Returns:
            A note when it begins after ``now`` but within the skew, else nothing.
        """
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if end < self.now:
            raise CertificateError(
                f"{what} {label(certificate)} expired on {instant(end)}",
                fix="have a new one issued; if it is new, check this machine's clock, which says"
                f" {instant(self.now)}",
            )
        if begin > self.now + self.skew:
            raise CertificateError(
                f"{what} {label(certificate)} is not valid before {instant(begin)}",
                fix=f"check this machine's clock, which says {instant(self.now)}",
            )
        if begin > self.now:
            return (
                f"{what} {label(certificate)} is valid only from {instant(begin)}, slightly in"
                " the future: this machine's clock may be slow"
            )
        return ""


def is_forgeable(certificate: Certificate) -> bool:
    """Check whether a certificate is signed with MD5 or SHA-1."""
    return isinstance(certificate.signature_hash_algorithm, _FORGEABLE_HASHES)


def check_signature_algorithm(certificate: Certificate, what: str) -> None:
    """Refuse signatures with broken hashes.

    Raises:
        CertificateError: It is signed with MD5 or SHA-1.
    """
    if is_forgeable(certificate):
        raise CertificateError(
            f"{what} {label(certificate)} is signed with MD5 or SHA-1, which can be forged",
            fix="have it reissued with SHA-256",
        )


def check_key(certificate: Certificate, what: str) -> None:
    """Refuse keys that are too short, and curves that TLS clients do not support.

    Raises:
        CertificateError: The certificate has such a key.
    """
    public_key = certificate.public_key()
    if isinstance(public_key, rsa.RSAPublicKey) and public_key.key_size < SMALLEST_MODULUS:
        raise CertificateError(
            f"{what} {label(certificate)} has an RSA key of {public_key.key_size} bits: at least"
            f" {SMALLEST_MODULUS} are required",
            fix="have it reissued for a new, longer key",
        )
    if isinstance(public_key, ec.EllipticCurvePublicKey) and not isinstance(
        public_key.curve, _CURVES
    ):
        raise CertificateError(
            f"{what} {label(certificate)} has a key on the curve {public_key.curve.name}, which"
            " TLS clients do not support",
            fix="have it reissued for a new key of type ecdsa-p256",
        )


@lru_cache(maxsize=1024)  # gateways share intermediates and roots
def is_signed_by(
    certificate: Certificate, issuer: Certificate, *, allow_forgeable: bool = False
) -> bool:
    """Verify the signature on a certificate with the issuer's key.

    Args:
        certificate: The certificate.
        issuer: Its issuer; the names have to match as well.
        allow_forgeable: Accept MD5 and SHA-1 signatures that the library does not verify, so that
            `check_signature_algorithm` can name the reason for the refusal.
    """
    try:
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return allow_forgeable and is_forgeable(certificate)
    return True


def unsupported_algorithm(certificates: Sequence[Certificate]) -> str:
    """Describe the first key or signature that the validator does not support; empty if none.

    Args:
        certificates: An end-entity certificate, then its issuers, roots among them.
    """
    for issuer in certificates[1:]:
        if kind := unsupported_key(issuer):
            return f"{label(issuer)} has {kind}"
    for each in certificates:
        if each.subject != each.issuer and (kind := _unknown_signature(each)):
            return f"{label(each)} is signed with {kind}"
    return ""


def unsupported_key(issuer: Certificate) -> str:
    """Describe the key of an issuer if it is neither RSA nor ECDSA; empty otherwise."""
    oid = issuer.public_key_algorithm_oid
    return "" if oid in _KNOWN_KEYS else _KEYS.get(oid, f"a key of type {oid.dotted_string}")


def _unknown_signature(certificate: Certificate) -> str:
    """Describe the signature of a certificate if the validator does not support it."""
    oid = certificate.signature_algorithm_oid
    if oid in _KNOWN_SIGNATURES:
        return ""
    made_with = certificate.signature_hash_algorithm
    name = made_with.name if made_with is not None else oid.dotted_string
    if oid != SignatureAlgorithmOID.RSASSA_PSS or made_with is None:
        return f"the algorithm {oid.dotted_string} ({name})"
    parameters = certificate.signature_algorithm_parameters
    salt = parameters._salt_length if isinstance(parameters, padding.PSS) else None  # noqa: SLF001 - no public accessor
    if isinstance(made_with, _KNOWN_HASHES) and salt == made_with.digest_size:
        return ""
    return f"RSASSA-PSS with {name} and a salt of {salt} bytes"
