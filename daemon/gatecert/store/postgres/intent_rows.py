"""Intents: the key and the CSR of an order, in a row before the order is placed.

An intent has the generation that its certificate will have, and the primary key admits one. Until
it is closed, a host that takes over the gateway uses its key and CSR, so whatever the CA has issued
for it fits. A closed intent keeps its generation, but no key; it is deleted with the version of a
later one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatecert.errors import StorageError
from gatecert.model import KeyRequest
from gatecert.store.postgres import lease_rows
from gatecert.store.postgres.damaged_rows import damaged
from gatecert.store.postgres.sealing import is_key_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from psycopg import Connection

    from gatecert.store.postgres.sealing import SealingKeys

INSERT = """
INSERT INTO intent (gateway, generation, request, directory_url, created, csr, sealed_key)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""

CLOSE = """
UPDATE intent SET closed = clock_timestamp(), csr = NULL, sealed_key = NULL
WHERE closed IS NULL AND gateway = %s
"""


def open_intent(
    connection: Connection, gateway: str, token: UUID, request: KeyRequest, keys: SealingKeys
) -> KeyRequest:
    """Store a key request under a lease; a repeated one is no error.

    Returns:
        The request with its generation.

    Raises:
        LeaseLostError: Another host has taken the lease.
    """
    newest = lease_rows.fence(connection, gateway, token)
    same = connection.execute(
        "SELECT generation FROM intent WHERE gateway = %s AND request = %s AND closed IS NULL",
        (gateway, request.id),
    ).fetchone()
    if same is not None:
        return replace(request, generation=same[0])
    intent = replace(request, generation=next_generation(connection, gateway, newest))
    if not insert(connection, gateway, intent, keys):
        raise StorageError(
            f"order {request.id} of gateway {gateway} was opened before, and is closed",
            fix="no action needed: the next attempt uses a new id",
        )
    return intent


def is_open(connection: Connection, gateway: str, request: str) -> bool:
    """Tell whether an intent has been stored, and is not closed."""
    found = connection.execute(
        "SELECT FROM intent WHERE gateway = %s AND request = %s AND closed IS NULL",
        (gateway, request),
    )
    return found.fetchone() is not None


def last_generation(connection: Connection, gateway: str) -> int:
    """Return the generation of the last order of a gateway; zero without any."""
    ((last,),) = connection.execute(
        "SELECT coalesce(max(generation), 0) FROM intent WHERE gateway = %s", (gateway,)
    ).fetchall()
    return int(last)


def next_generation(connection: Connection, gateway: str, newest: int) -> int:
    """Return the generation of the next order: one that no order has had, nor a reserved one.

    Args:
        connection: In a transaction.
        gateway: Its name.
        newest: The generation of its newest version; zero without any.
    """
    row = connection.execute("SELECT reserve FROM gateway WHERE name = %s", (gateway,)).fetchone()
    reserved = 0 if row is None else int(row[0])
    return 1 + max(newest, last_generation(connection, gateway), reserved)


def insert(connection: Connection, gateway: str, intent: KeyRequest, keys: SealingKeys) -> bool:
    """Store an intent; false if its generation has one, or it was stored before."""
    stored = connection.execute(
        INSERT,
        (
            gateway,
            intent.generation,
            intent.id,
            intent.directory_url,
            intent.created,
            intent.csr.decode("ascii"),
            keys.seal(intent.private_key) if intent.private_key else None,
        ),
    )
    return bool(stored.rowcount)


def read(connection: Connection, gateway: str, keys: SealingKeys) -> Sequence[KeyRequest]:
    """Return the open intents of a gateway, newest first.

    Raises:
        SealingKeyMissingError: One is sealed with a key that this host does not have.
        StorageError: One is damaged.
    """
    rows = connection.execute(
        "SELECT request, created, sealed_key, csr, generation, directory_url FROM intent"
        " WHERE gateway = %s AND closed IS NULL ORDER BY created DESC, request DESC",
        (gateway,),
    )
    found = []
    for request, created, sealed, csr, generation, directory_url in rows:
        what = f"the key of order {request} of gateway {gateway}"
        private_key, encoded = keys.open(sealed, what), csr.encode()
        if not is_key_of(private_key, encoded):
            raise damaged(what, "it does not fit its request")
        found.append(KeyRequest(request, created, private_key, encoded, generation, directory_url))
    return found


def csrs(connection: Connection, gateway: str) -> dict[str, bytes]:
    """Return the CSR of each open intent of a gateway, PEM, by the id of its request."""
    rows = connection.execute(
        "SELECT request, csr FROM intent WHERE gateway = %s AND closed IS NULL", (gateway,)
    )
    return {request: csr.encode() for request, csr in rows}


def close(connection: Connection, gateway: str, request: str) -> None:
    """Close an intent under the lease; unknown ones are no error."""
    connection.execute(f"{CLOSE} AND request = %s", (gateway, request))


def close_up_to(connection: Connection, gateway: str, generation: int) -> None:
    """Close the intents up to a generation, of which there is a version."""
    connection.execute(f"{CLOSE} AND generation <= %s", (gateway, generation))


def close_all(connection: Connection, gateway: str) -> None:
    """Close all intents of a gateway: their keys are kept elsewhere."""
    connection.execute(CLOSE, (gateway,))


def close_free(connection: Connection, gateway: str, request: str) -> None:
    """Close an intent without a lease, unless another host holds it and may need the intent."""
    if lease_rows.is_free(connection, gateway):
        close(connection, gateway, request)
