"""The revocation state of a certificate (RFC 5280)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gatecert.time_format import instant


class RevocationReason(StrEnum):
    """The reason of a revocation, as named in RFC 5280 section 5.3.1."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    CERTIFICATE_HOLD = "certificateHold"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    AA_COMPROMISE = "aACompromise"


@dataclass(frozen=True, slots=True)
class RevocationState:
    """The revocation state of a certificate, as far as known.

    Attributes:
        fingerprint: Fingerprint of the certificate.
        next_look: No check of the CRLs before this instant.
        checked: When a valid CRL last covered the certificate; None if never.
        revoked: The revocation date; None if not revoked.
        source: The source of the revocation: URL of a CRL, or in words.
        new_key: Whether its key must not be reused.
        failures: Consecutive checks without a result.
        problem: Why the last check had no result, one line; empty if it had one.
        fix: What to do about that, one line; empty if unknown.
    """

    fingerprint: str
    next_look: datetime
    checked: datetime | None = None
    revoked: datetime | None = None
    reason: RevocationReason = RevocationReason.UNSPECIFIED
    source: str = ""
    new_key: bool = False
    failures: int = 0
    problem: str = ""
    fix: str = ""

    @property
    def is_final(self) -> bool:
        """True if the certificate is revoked for good, so that no check is needed."""
        return self.revoked is not None and self.reason is not RevocationReason.CERTIFICATE_HOLD

    @property
    def words(self) -> str:
        """The text that it was revoked, with date and reason."""
        since = f" on {instant(self.revoked)}" if self.revoked is not None else ""
        return f"revoked{since} ({self.reason})"


@dataclass(frozen=True, slots=True)
class StoredList:
    """A CRL as fetched; its signature is not verified yet.

    Attributes:
        data: DER or PEM.
        fetched: When its server last confirmed that it is current.
        etag: Its ETag, for conditional requests.
        last_modified: Its Last-Modified, for servers without ETags.
    """

    data: bytes = field(repr=False)
    fetched: datetime
    etag: str = ""
    last_modified: str = ""
