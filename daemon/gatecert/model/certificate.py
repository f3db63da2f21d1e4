"""Facts about a parsed certificate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gatecert.model.identifier import Identifier


class Origin(StrEnum):
    """The source of a certificate."""

    BOOTSTRAP = "bootstrap"
    AUTHORITY = "authority"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class CertificateSummary:
    """The facts about a certificate that decisions depend on.

    Attributes:
        subject: RFC 4514 text, cleaned.
        issuer: RFC 4514 text, cleaned.
        fingerprint: SHA-256 of the DER, lower-case hexadecimal.
        chain_fingerprints: Fingerprints of the intermediates, in order.
        key_fingerprint: SHA-256 of the SubjectPublicKeyInfo DER, lower-case hexadecimal.
        is_bootstrap: Self-signed by gatecert.
        certificate_id: ARI CertID (RFC 9773 section 4.1), empty where there is none.
        key_algorithm: ``ecdsa`` or ``rsa``; empty where it does not matter.
        second: The certificate of the other key algorithm that is served as well, if any.
        must_staple: Whether it requires OCSP stapling (Must-Staple, RFC 7633).
    """

    subject: str
    issuer: str
    identifiers: tuple[Identifier, ...]
    not_before: datetime
    not_after: datetime
    fingerprint: str
    chain_fingerprints: tuple[str, ...]
    key_fingerprint: str
    is_bootstrap: bool
    certificate_id: str
    key_algorithm: str = ""
    second: CertificateSummary | None = None
    must_staple: bool = False

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The key algorithms to request, one handshake each; one empty entry unless a pair."""
        return ("",) if self.second is None else (self.key_algorithm, self.second.key_algorithm)

    def served_to(self, algorithm: str, fingerprint: str = "") -> CertificateSummary:
        """Return the certificate of a pair that a client with this algorithm gets.

        Args:
            algorithm: Empty for a client that accepts any algorithm; it may get either certificate.
            fingerprint: The certificate that such a client got.
        """
        second = self.second
        if second is None:
            return self
        wanted = (
            second.key_algorithm == algorithm if algorithm else second.fingerprint == fingerprint
        )
        return second if wanted else self

    @property
    def lifetime(self) -> timedelta:
        """The validity period."""
        return self.not_after - self.not_before

    def covers(self, identifiers: tuple[Identifier, ...]) -> bool:
        """Check that the certificate contains every identifier."""
        return set(identifiers) <= set(self.identifiers)


@dataclass(frozen=True, slots=True)
class ClientCA:
    """A CA whose client certificates a gateway accepts.

    Attributes:
        subject: RFC 4514 text, cleaned.
        issuer: RFC 4514 text, cleaned; the subject itself for a root.
        fingerprint: SHA-256 of the DER, lower-case hexadecimal.
        is_root: Whether it is its own issuer.
    """

    subject: str
    issuer: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    is_root: bool
