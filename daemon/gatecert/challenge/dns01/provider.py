"""The interface of DNS providers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gatecert.challenge.dns01.zones import RecordLocation
    from gatecert.model import AddressRecords, TextRecord


class Provider(Protocol):
    """Changes zones; safe to use from several threads.

    A change concerns one record; others at the same name are unchanged.
    """

    def publish(self, record: TextRecord) -> None:
        """Add a record; an existing one is not an error.

        Raises:
            RecordRefusedError: The change was refused; nothing changed.
            ProviderNotContactedError: The provider was not contacted; nothing changed.
            ChallengeError: There was no answer; the record may exist.
        """
        ...

    def withdraw(self, record: TextRecord) -> None:
        """Remove a record; a missing one is not an error.

        Raises:
            RecordRefusedError: The change was refused.
            ChallengeError: There was no answer.
        """
        ...


class AddressProvider(Protocol):
    """Changes address records (dynamic DNS); safe to use from several threads."""

    def replace(self, place: RecordLocation, records: AddressRecords) -> None:
        """Make these the only records of their type at a name; repeating that is no error.

        Raises:
            RecordRefusedError: The change was refused.
            ChallengeError: There was no answer; the records may have changed.
        """
        ...
