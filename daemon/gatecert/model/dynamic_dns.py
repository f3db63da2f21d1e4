"""Dynamic DNS: the records that are to be published, and what is known of them between passes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RecordKind(StrEnum):
    """The record types that hold addresses."""

    A = "A"
    AAAA = "AAAA"

    @classmethod
    def of(cls, address: str) -> RecordKind:
        """Return the record type of an address."""
        return cls.AAAA if ":" in address else cls.A


@dataclass(frozen=True, slots=True)
class AddressRecords:
    """All records of one type at a name.

    Attributes:
        addresses: Canonical text, sorted; empty means that there is to be no record.
    """

    kind: RecordKind
    addresses: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} {' and '.join(self.addresses) or 'removed'}"


@dataclass(frozen=True, slots=True)
class DdnsProblem:
    """The reason why the records could not be kept.

    Attributes:
        code: Stable, for programs; one of the doctor's.
        since: When this problem was first met.
    """

    code: str
    detail: str
    fix: str
    since: datetime


@dataclass(frozen=True, slots=True)
class DdnsState:
    """The known state of a gateway's records; part of its ``state.json``.

    Attributes:
        stamp: Identifies the settings and secret files that this is about.
        published: The records that the provider accepted last.
        published_at: When it did; None if it never has.
        looked_at: The last look at the addresses; in the future only if the clock was set back.
        next_look: No look before this instant.
        next_check: No look-up of the published records before this instant.
        failures: Failed updates since the last success.
        not_before: No update before this instant unless the settings change; an operator's request
            does not shorten it.
        retry_at: No update before this instant unless the settings change or an operator
            asks for one.
        problem: Why the last look failed; None if it succeeded.
    """

    stamp: str = ""
    published: tuple[AddressRecords, ...] = ()
    published_at: datetime | None = None
    looked_at: datetime | None = None
    next_look: datetime | None = None
    next_check: datetime | None = None
    failures: int = 0
    not_before: datetime | None = None
    retry_at: datetime | None = None
    problem: DdnsProblem | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """The published addresses."""
        return tuple(each for records in self.published for each in records.addresses)
