"""Whether a certificate has been revoked, and how that is known (RFC 5280)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gatecert.time_format import instant


class RevocationReason(StrEnum):
    """Why a certificate was revoked, by the names of RFC 5280 section 5.3.1."""

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
    """Whether a certificate was revoked, as far as that is known.

    Attributes:
        fingerprint: Which certificate this is about.
        next_look: Its authority's revocation lists are not looked at before this instant.
        checked: When a list was last found to be good that tells of it; None if never.
        revoked: Since when it is revoked; None if it is not.
        source: Who says so: URL of a list, or in words.
        new_key: Whether its key may not be used again.
        failures: Consecutive looks that told nothing.
        problem: Why the last look told nothing, one line; empty when it did.
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
    def words(self) -> str:
        """That it was revoked, when, and why."""
        since = f" on {instant(self.revoked)}" if self.revoked is not None else ""
        return f"revoked{since} ({self.reason})"


@dataclass(frozen=True, slots=True)
class StoredList:
    """A revocation list as it was fetched; not to be trusted before its signature is checked.

    Attributes:
        data: DER or PEM.
        fetched: When its host last said that this is the current one.
        etag: What the host called it, to ask whether there is a newer one.
        last_modified: The same, for hosts without entity tags.
    """

    data: bytes = field(repr=False)
    fetched: datetime
    etag: str = ""
    last_modified: str = ""
