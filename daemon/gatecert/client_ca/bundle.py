"""The authorities whose user certificates a gateway accepts. Pure.

A bundle is what the server reads as one file: roots, and intermediates beside their root. Servers
do not all look alike at it (GnuTLS trusts every certificate in it, OpenSSL only what leads to a
root), so each certificate has to hold by every reading (``client_ca.client_ca_rules``).

Without an authority the file holds a placeholder: a root whose private key was thrown away as soon
as it was made, so that nobody can have a certificate from it. A server can thus be set up, and
demands certificates, before there is an authority, and goes on demanding them after the last is
gone: an empty list would invite a certificate of any authority (RFC 8446 section 4.2.4), and
without the file ocserv does not start.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate
from cryptography.x509.oid import NameOID

from gatecert.certificate.certificate_names import name_text
from gatecert.certificate.pem import load_roots
from gatecert.certificate.rules import is_signed_by
from gatecert.client_ca.client_ca_rules import is_root
from gatecert.model import ClientCA

if TYPE_CHECKING:
    from collections.abc import Iterable


NO_END: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280 section 4.1.2.5
PLACEHOLDER_NAME: Final = x509.Name(
    [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "gatecert placeholder"),
        x509.NameAttribute(NameOID.COMMON_NAME, "no authority of user certificates yet"),
    ]
)
PLACEHOLDER_ID: Final = "none"


@dataclass(frozen=True, slots=True)
class Bundle:
    """The authorities of a gateway's users.

    Attributes:
        certificates: Roots and intermediates in the order they were added, without repetition; the
            placeholder is not among them.
    """

    certificates: tuple[Certificate, ...] = ()

    @property
    def roots(self) -> tuple[Certificate, ...]:
        """Those that vouch for themselves."""
        return tuple(each for each in self.certificates if is_root(each))

    @property
    def intermediates(self) -> tuple[Certificate, ...]:
        """Those that a root vouches for."""
        return tuple(each for each in self.certificates if not is_root(each))

    @property
    def root_names(self) -> frozenset[str]:
        """The names that a server has to ask for, RFC 4514 text."""
        names = frozenset(each.subject.rfc4514_string() for each in self.roots)
        return names or frozenset({PLACEHOLDER_NAME.rfc4514_string()})

    @property
    def intermediate_names(self) -> frozenset[str]:
        """The names that a server may ask for besides."""
        return frozenset(each.subject.rfc4514_string() for each in self.intermediates)

    @property
    def id(self) -> str:
        """What tells one bundle from another, whatever order it stands in."""
        if not self.certificates:
            return PLACEHOLDER_ID
        prints = sorted(fingerprint(each) for each in self.certificates)
        return hashlib.sha256("".join(prints).encode()).hexdigest()[:16]

    def to_pem(self, *, now: datetime) -> bytes:
        """What the server reads; never empty."""
        certificates = self.certificates or (placeholder(now=now),)
        return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)

    def client_cas(self) -> tuple[ClientCA, ...]:
        """What an operator is told of each."""
        return tuple(describe(each) for each in self.certificates)

    def issuers_of(self, certificate: Certificate) -> tuple[Certificate, ...]:
        """The certificates of this bundle that signed another."""
        return tuple(
            each
            for each in self.certificates
            if each.subject == certificate.issuer
            and is_signed_by(certificate, each, allow_forgeable=True)
        )


def from_pem(pem: bytes) -> Bundle:
    """Read what a server reads.

    Raises:
        CertificateError: There is no certificate, or something else.
    """
    return Bundle(tuple(each for each in load_roots(pem) if not is_placeholder(each)))


def placeholder(*, now: datetime) -> Certificate:
    """A root from which nobody can have a certificate: its key is forgotten right here."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(PLACEHOLDER_NAME)
        .issuer_name(PLACEHOLDER_NAME)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(NO_END)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(private_key, hashes.SHA256())
    )


def is_placeholder(certificate: Certificate) -> bool:
    """Whether a certificate stands for no authority at all."""
    return certificate.subject == certificate.issuer == PLACEHOLDER_NAME


def fingerprint(certificate: Certificate) -> str:
    """SHA-256 of the DER, lower-case hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def describe(certificate: Certificate) -> ClientCA:
    """What an operator is told of an authority."""
    return ClientCA(
        subject=name_text(certificate.subject),
        issuer=name_text(certificate.issuer),
        fingerprint=fingerprint(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        is_root=is_root(certificate),
    )


def quoted_subjects(certificates: Iterable[Certificate]) -> str:
    """Certificates by their subjects, on one line."""
    return ", ".join(f"'{name_text(each.subject)}'" for each in certificates)
