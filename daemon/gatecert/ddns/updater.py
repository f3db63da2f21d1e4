"""The interface of what publishes address records, and what all of them have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gatecert.model import AddressRecords

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.model import RecordKind


@dataclass(frozen=True, slots=True)
class RecordChange:
    """The records that a name is to have.

    Attributes:
        name: The hostname (A-labels).
        records: At most one entry of each type; a type without an entry is left alone.
    """

    name: str
    records: tuple[AddressRecords, ...]

    def addresses(self, kind: RecordKind) -> tuple[str, ...] | None:
        """Return the addresses of one type; None if its records are left alone."""
        return next((each.addresses for each in self.records if each.kind is kind), None)

    def __str__(self) -> str:
        return f"{self.name} {listed(self.records)}"


class Updater(Protocol):
    """Publishes address records."""

    def update(self, change: RecordChange) -> bool:
        """Publish the records of a name.

        Returns:
            Whether they changed; True if the provider does not say.

        Raises:
            DdnsRefusedError: Refused until something is corrected.
            DdnsBlockedError: Blocked because of too many updates.
            DdnsUnreachableError: No answer, or a problem of the provider.
            ChallengeError: As ``challenge.dns01.provider.AddressProvider`` and secret files say.
        """
        ...


def listed(records: Sequence[AddressRecords]) -> str:
    """Return records on one line."""
    return ", ".join(map(str, records))
