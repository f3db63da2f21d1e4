"""News for a host: versions that it has not tried, and the channel on which the server hints.

A hint says that there is something to look at, not what. Hosts look regularly as well, so a hint
that is lost costs time only.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg import sql

if TYPE_CHECKING:
    from psycopg import Connection

RECENT: Final = timedelta(hours=25)  # older versions have been open to all rings for an hour

LACKING: Final = """
SELECT DISTINCT ON (newest.gateway) newest.gateway, newest.generation, greatest((
  SELECT max(report.at) FROM deployment AS report
  WHERE report.gateway = newest.gateway AND report.generation = newest.generation
    AND report.host <> own_host()
), fleet.resumed)
FROM fleet CROSS JOIN version AS newest
LEFT JOIN deployment AS own
  ON own.cluster = newest.cluster AND own.gateway = newest.gateway AND own.host = own_host()
WHERE newest.created > clock_timestamp() - %s AND newest.sealed_key IS NOT NULL AND (
  (newest.host <> own_host() AND coalesce(own.generation, 0) < newest.generation)
  OR (own.generation = newest.generation AND own.outcome = 'pending')
)
ORDER BY newest.gateway, newest.generation DESC
"""


class LackingVersion(NamedTuple):
    """A recent version that this host lacks, or has and has not tried: it waits for others.

    Attributes:
        changed: When another host has last reported on it, or the operator has resumed the fleet;
            None without either.
    """

    gateway: str
    generation: int
    changed: datetime | None


def lacking(connection: Connection) -> set[LackingVersion]:
    """Return the newest versions that this host lacks or waits with, one for each gateway."""
    return set(map(LackingVersion._make, connection.execute(LACKING, (RECENT,)).fetchall()))


def listen(connection: Connection) -> None:
    """Have the server send hints on this connection from the end of the transaction on."""
    row = connection.execute("SELECT hint_channel(own_cluster())").fetchone()
    assert row is not None  # noqa: S101 - a function has a value
    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(row[0])))
