"""The MESSAGE_ID of journal entries: the same for every entry about the same kind of event.

It is a UUID made from a name (version 5), so no table of identifiers has to be kept. The message
catalogue (``doctor.message_catalogue``) explains each; ``journalctl -x`` shows the explanation.

RFC 9562 section 5.5, sd_journal_print(3), https://systemd.io/CATALOG
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMESPACE: Final = UUID("e09d53e9-3253-44aa-ab85-25090442fd83")  # random; never changes
NAMING_FIELDS: Final = ("code", "outcome")  # the first that a record has


def message_id(name: str) -> str:
    """Return the identifier of a code or a kind of outcome, as 32 hexadecimal digits."""
    return uuid5(NAMESPACE, name).hex


def message_id_of(fields: Mapping[str, object]) -> str | None:
    """Return the identifier of a record; None if no field names what it is about.

    Args:
        fields: As of `report.journal.fields`.
    """
    name = next((fields[key] for key in NAMING_FIELDS if key in fields), None)
    return message_id(str(name)) if name is not None else None
