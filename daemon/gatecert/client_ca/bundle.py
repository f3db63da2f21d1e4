"""The client CAs of a gateway: the CAs whose client certificates it accepts. Pure.

The server reads a bundle as one file: roots, and intermediates with their root. GnuTLS trusts every
certificate in the file, OpenSSL only those that lead to a root, so each certificate must pass the
checks of both (``client_ca.client_ca_rules``).

Without a client CA, the file holds a placeholder: a root whose private key is deleted when it is
made, so that it can issue no certificate. The server can be set up before there is a client CA,
and still requires certificates after the last CA is removed. An empty list would ask for
certificates of any CA (RFC 8446 section 4.2.4), and ocserv does not start without the file.
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
PLACEHOLDER_NAME: Final = x509.Name(  # identifies placeholders on disk: do not change
    [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "gatecert placeholder"),
        x509.NameAttribute(NameOID.COMMON_NAME, "no authority of user certificates yet"),
    ]
)
PLACEHOLDER_ID: Final = "none"


@dataclass(frozen=True, slots=True)
class Bundle:
    """The client CAs of a gateway.

    Attributes:
        certificates: Roots and intermediates in the order they were added, without duplicates and
            without the placeholder.
    """

    certificates: tuple[Certificate, ...] = ()

    @property
    def roots(self) -> tuple[Certificate, ...]:
        """The roots."""
        return tuple(each for each in self.certificates if is_root(each))

    @property
    def intermediates(self) -> tuple[Certificate, ...]:
        """The intermediates."""
        return tuple(each for each in self.certificates if not is_root(each))

    @property
    def root_names(self) -> frozenset[str]:
        """The names that a server must send, as RFC 4514 text."""
        names = frozenset(each.subject.rfc4514_string() for each in self.roots)
        return names or frozenset({PLACEHOLDER_NAME.rfc4514_string()})

    @property
    def intermediate_names(self) -> frozenset[str]:
        """The names that a server may send as well."""
        return frozenset(each.subject.rfc4514_string() for each in self.intermediates)

    @property
    def id(self) -> str:
        """An identifier that does not depend on the order of the certificates."""
        if not self.certificates:
            return PLACEHOLDER_ID
        fingerprints = sorted(fingerprint(each) for each in self.certificates)
        return hashlib.sha256("".join(fingerprints).encode()).hexdigest()[:16]

    def to_pem(self, *, now: datetime) -> bytes:
        """Return the file for the server; it is never empty."""
        certificates = self.certificates or (placeholder(now=now),)
        return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)

    def client_cas(self) -> tuple[ClientCA, ...]:
        """Return a description of each certificate."""
        return tuple(describe(each) for each in self.certificates)

    def issuers_of(self, certificate: Certificate) -> tuple[Certificate, ...]:
        """Return the certificates of this bundle that signed a certificate."""
        return tuple(
            each
            for each in self.certificates
            if each.subject == certificate.issuer
            and is_signed_by(certificate, each, allow_forgeable=True)
        )


def from_pem(pem: bytes) -> Bundle:
    """Read a bundle from the server's file.

    Raises:
        CertificateError: The file holds no certificate, or anything else.
    """
    return Bundle(tuple(each for each in load_roots(pem) if not is_placeholder(each)))


def placeholder(*, now: datetime) -> Certificate:
    """Return a root that can issue no certificate: its private key is not kept."""
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
    """Check if a certificate is a placeholder."""
    return certificate.subject == certificate.issuer == PLACEHOLDER_NAME


def fingerprint(certificate: Certificate) -> str:
    """Return the SHA-256 fingerprint, lower-case hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def describe(certificate: Certificate) -> ClientCA:
    """Return the description of a client CA for the operator."""
    return ClientCA(
        subject=name_text(certificate.subject),
        issuer=name_text(certificate.issuer),
        fingerprint=fingerprint(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        is_root=is_root(certificate),
    )


def quoted_subjects(certificates: Iterable[Certificate]) -> str:
    """Return the subjects of certificates on one line."""
    return ", ".join(f"'{name_text(each.subject)}'" for each in certificates)
