"""Published TXT records, which another host withdraws if the one that published them is dead.

A host is alive as long as it has been seen: it says so with each lease that it renews. A record
older than a day counts as abandoned in any case.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from gatecert.model import PublishedRecord, TextRecord
from gatecert.store.dns_records import ABANDONED_AFTER

if TYPE_CHECKING:
    from uuid import UUID

    from psycopg import Connection

DEAD_AFTER: Final = timedelta(minutes=10)  # without a sign of life

INSERT = "INSERT INTO record (id, name, value, zone, life) VALUES (%s, %s, %s, %s, %s)"

SELECT = """
SELECT id, record.name, value, zone, at,
  abandoned OR host = own_host() OR at < clock_timestamp() - %s OR NOT EXISTS (
    SELECT FROM host AS publisher
    WHERE publisher.name = record.host AND seen > clock_timestamp() - %s
  )
FROM record
"""


def write(connection: Connection, published: PublishedRecord, life: UUID) -> None:
    """Write a record that this host is about to publish."""
    record = published.record
    connection.execute(INSERT, (published.id, record.name, record.value, record.zone, life))


def read(connection: Connection) -> list[PublishedRecord]:
    """Return the records of all hosts.

    Those of this host count as abandoned: the ones that are not are in its files.
    """
    rows = connection.execute(SELECT, (ABANDONED_AFTER, DEAD_AFTER)).fetchall()
    return [
        PublishedRecord(record, TextRecord(name, value, zone), at, abandoned)
        for record, name, value, zone, at, abandoned in rows
    ]


def abandon(connection: Connection, record: str) -> None:
    """Leave the withdrawal of a record to any host."""
    connection.execute("UPDATE record SET abandoned = true WHERE id = %s", (record,))


def remove(connection: Connection, record: str) -> None:
    """Remove a withdrawn record; unknown ones are no error."""
    connection.execute("DELETE FROM record WHERE id = %s", (record,))
