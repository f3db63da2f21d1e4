"""Challenge tokens that every host of a cluster answers (RFC 8555 section 8.1).

Answering never asks the database: each host copies the tokens to its own directory, and then
acknowledges them. Those of a host that is not live are removed by any other.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from gatecert.store.postgres.host_rows import IS_LIVE, SILENT
from gatecert.store.tokens import ABANDONED_AFTER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from psycopg import Connection

INSERT: Final = """
INSERT INTO token (kind, token, key_authorization, life) VALUES (%s, %s, %s, %s)
ON CONFLICT (cluster, kind, token) DO UPDATE
  SET key_authorization = excluded.key_authorization, host = own_host(), life = excluded.life,
    at = clock_timestamp()
"""

SELECT: Final = """
SELECT kind, token, key_authorization, host <> own_host(), EXISTS (
  SELECT FROM acknowledgement AS own
  WHERE own.kind = token.kind AND own.token = token.token AND own.host = own_host()
)
FROM token
"""

ACKNOWLEDGE: Final = """
INSERT INTO acknowledgement (kind, token)
SELECT kind, token FROM token WHERE kind = %s AND token = %s FOR KEY SHARE
ON CONFLICT DO NOTHING
"""

REMOVE_ABANDONED: Final = f"""
DELETE FROM token WHERE host <> own_host() AND (
  at < clock_timestamp() - %(age)s
  OR NOT EXISTS (SELECT FROM host WHERE host.name = token.host AND {IS_LIVE})
)
"""  # noqa: S608 - a constant

MISSING: Final = f"""
SELECT name FROM host WHERE name <> own_host() AND {IS_LIVE} AND NOT EXISTS (
  SELECT FROM acknowledgement
  WHERE acknowledgement.host = host.name AND kind = %(kind)s AND token = %(token)s
)
ORDER BY name
"""  # noqa: S608 - a constant


class SharedToken(NamedTuple):
    """A token of any host of the cluster.

    Attributes:
        kind: The challenge type.
        is_foreign: Whether another host presents it.
        is_acknowledged: Whether this host has acknowledged it.
    """

    kind: str
    token: str
    key_authorization: str
    is_foreign: bool
    is_acknowledged: bool


def write(
    connection: Connection, kind: str, token: str, key_authorization: str, life: UUID
) -> None:
    """Write a token that this host presents; nobody has acknowledged it.

    Args:
        connection: In a transaction.
        kind: The challenge type.
        token: Chosen by the CA.
        key_authorization: Its answer.
        life: Of the host.
    """
    connection.execute("DELETE FROM token WHERE kind = %s AND token = %s", (kind, token))
    connection.execute(INSERT, (kind, token, key_authorization, life))


def remove(connection: Connection, kind: str, token: str) -> None:
    """Remove a token of this host; unknown ones are no error."""
    connection.execute(
        "DELETE FROM token WHERE kind = %s AND token = %s AND host = own_host()", (kind, token)
    )


def read(connection: Connection) -> list[SharedToken]:
    """Return the tokens of all hosts."""
    return list(map(SharedToken._make, connection.execute(SELECT).fetchall()))


def acknowledge(connection: Connection, tokens: Iterable[SharedToken]) -> None:
    """Tell that this host answers with tokens; those that are gone are no error."""
    for each in tokens:
        connection.execute(ACKNOWLEDGE, (each.kind, each.token))


def missing_hosts(connection: Connection, kind: str, token: str) -> tuple[str, ...]:
    """Return the live hosts that have not acknowledged a token, except this one."""
    found = connection.execute(MISSING, {"kind": kind, "token": token, **SILENT}).fetchall()
    return tuple(name for (name,) in found)


def remove_abandoned(connection: Connection) -> None:
    """Remove the tokens of hosts that are not live any more, and those that are too old."""
    age = timedelta(seconds=ABANDONED_AFTER)
    connection.execute(REMOVE_ABANDONED, {"age": age, **SILENT})
