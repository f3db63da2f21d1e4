"""What everybody who can change a zone has to be able to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gatecert.model import TextRecord


class Provider(Protocol):
    """Changes zones; any number of threads may use it at once.

    Records are added and taken away one by one: others at the same name are left alone.
    """

    def publish(self, record: TextRecord) -> None:
        """Add a record; one that is there already is no error.

        Raises:
            RecordRefusedError: The answer was no; nothing changed.
            ProviderNotContactedError: Nobody could be asked; nothing changed.
            ChallengeError: There was no answer; the record may be there or not.
        """
        ...

    def withdraw(self, record: TextRecord) -> None:
        """Take a record away; one that is not there is no error.

        Raises:
            RecordRefusedError: The answer was no.
            ChallengeError: There was no answer.
        """
        ...
