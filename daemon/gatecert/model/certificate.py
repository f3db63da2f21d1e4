"""What matters of a certificate once it has been read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gatecert.model.identifier import Identifier


class Origin(StrEnum):
    """Who made a certificate."""

    BOOTSTRAP = "bootstrap"
    AUTHORITY = "authority"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class CertificateSummary:
    """What has to be known of a certificate to decide about it.

    Attributes:
        subject: RFC 4514 text, cleaned.
        issuer: RFC 4514 text, cleaned.
        fingerprint: SHA-256 of the DER, lower-case hexadecimal.
        chain_fingerprints: The same for the intermediates, in order.
        key_fingerprint: SHA-256 of the SubjectPublicKeyInfo DER, lower-case hexadecimal.
        is_bootstrap: Self-signed by gatecert.
        certificate_id: ARI CertID (RFC 9773 section 4.1), empty where there can be none.
        key_algorithm: ``ecdsa`` or ``rsa``; empty where it does not matter.
        second: The certificate of the other algorithm that is served beside this one, if any.
        must_staple: Whether it demands OCSP stapling (RFC 7633).
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
        """What to ask a listener for, one handshake each: anything, unless this is a pair."""
        return ("",) if self.second is None else (self.key_algorithm, self.second.key_algorithm)

    def of(self, algorithm: str, fingerprint: str = "") -> CertificateSummary:
        """The certificate of the pair that a client sees which takes only this algorithm.

        Args:
            algorithm: Empty for a client that takes any; then either will do.
            fingerprint: What such a client saw.
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
        """The whole validity period."""
        return self.not_after - self.not_before

    def covers(self, identifiers: tuple[Identifier, ...]) -> bool:
        """Whether every one of the identifiers stands in the certificate."""
        return set(identifiers) <= set(self.identifiers)


@dataclass(frozen=True, slots=True)
class ClientCA:
    """An authority whose certificates a gateway accepts from its users.

    Attributes:
        subject: RFC 4514 text, cleaned.
        issuer: RFC 4514 text, cleaned; the subject itself for a root.
        fingerprint: SHA-256 of the DER, lower-case hexadecimal.
        is_root: Whether it vouches for itself.
    """

    subject: str
    issuer: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    is_root: bool
