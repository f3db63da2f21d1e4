"""A host leaves its cluster: it takes back what only it stands for, and keeps its files.

Open orders are left to the other hosts, which finish them with the same key. The last host takes
them along (`exporting`), so that nothing that was ordered is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gatecert.store.postgres import intent_rows
from gatecert.store.postgres.host_rows import IS_LIVE, SILENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import Connection

OTHERS: Final = f"SELECT name, {IS_LIVE} FROM host WHERE name <> own_host() ORDER BY name"  # noqa: S608 - a constant

WITHDRAWAL: Final = (
    """
    UPDATE gateway SET lease = NULL, lease_host = NULL, lease_until = NULL
    WHERE lease_host = own_host()
    """,
    "UPDATE gateway SET reserve_host = NULL WHERE reserve_host = own_host()",
    "DELETE FROM token WHERE host = own_host()",
    "UPDATE host SET life = NULL, seen = NULL WHERE name = own_host()",
)


class OtherHost(NamedTuple):
    """Another host of the cluster."""

    name: str
    is_live: bool


def other_hosts(connection: Connection) -> list[OtherHost]:
    """Return the other hosts of the cluster, by name."""
    return list(map(OtherHost._make, connection.execute(OTHERS, SILENT).fetchall()))


def with_open_orders(connection: Connection, gateways: Sequence[str]) -> list[str]:
    """Return those of the gateways for which an order is open, by name."""
    rows = connection.execute(
        "SELECT DISTINCT gateway FROM intent WHERE closed IS NULL AND gateway = ANY (%s)"
        " ORDER BY gateway",
        (list(gateways),),
    )
    return [gateway for (gateway,) in rows]


def close_orders(connection: Connection, gateways: Sequence[str]) -> None:
    """Close the open orders of gateways: this host, the last one, has them in its files.

    Nothing is due in the cluster any more.
    """
    for gateway in gateways:
        intent_rows.close_all(connection, gateway)
    connection.execute("UPDATE gateway SET due = NULL WHERE due IS NOT NULL")


def withdraw(connection: Connection) -> None:
    """End the leases of this host, remove its tokens, and sign off."""
    for statement in WITHDRAWAL:
        connection.execute(statement)


def published_records(connection: Connection) -> int:
    """Return how many TXT records of this host may still exist."""
    row = connection.execute("SELECT count(*) FROM record WHERE host = own_host()").fetchone()
    return 0 if row is None else int(row[0])
