"""ACME accounts that the hosts of a cluster share: one in use for each CA of the configuration.

They share the account because a CA exempts a renewal from its limits only where the account that
obtained the certificate asks (RFC 9773 section 5). Of two hosts that register at the same time,
the first to write wins, and the other one uses its account from the next attempt on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.errors import StorageError
from gatecert.model import Account
from gatecert.store import pem_files
from gatecert.store.postgres.damaged_rows import damaged

if TYPE_CHECKING:
    from psycopg import Connection

    from gatecert.store.postgres.sealing import SealingKeys

SELECT = """
SELECT sealed_key, url, directory_url, contact, sealed_next_key FROM account
WHERE authority = %s AND retired IS NULL
"""

INSERT = """
INSERT INTO account (authority, directory_url, url, contact, sealed_key)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""

UPDATE = """
UPDATE account SET directory_url = %s, url = %s, contact = %s, sealed_key = %s
WHERE authority = %s AND retired IS NULL
"""


def read(connection: Connection, authority: str, keys: SealingKeys) -> Account | None:
    """Return the account at a CA; None if there is none.

    Raises:
        SealingKeyMissingError: Its key is sealed with a key that this host does not have.
        StorageError: The row is damaged.
    """
    row = connection.execute(SELECT, (authority,)).fetchone()
    if row is None:
        return None
    sealed, url, directory_url, contact, _ = row
    private_key = _opened(sealed, f"the key of the account at {authority}", keys)
    return Account(private_key, url, directory_url, tuple(contact))


def authorities(connection: Connection) -> list[str]:
    """Return the names of the CAs at which the cluster has an account."""
    rows = connection.execute("SELECT authority FROM account WHERE retired IS NULL ORDER BY 1")
    return [authority for (authority,) in rows]


def write(
    connection: Connection,
    authority: str,
    account: Account,
    keys: SealingKeys,
    before: bytes | None,
) -> None:
    """Write the account at a CA.

    Args:
        connection: In a transaction.
        authority: The CA's name in the configuration.
        account: The account.
        keys: Seal its key.
        before: The key (PEM) that this host knew; None for none. Only that one is replaced.

    Raises:
        StorageError: Another host has registered an account, or changed its key.
    """
    connection.execute("SELECT FROM account WHERE authority = %s FOR UPDATE", (authority,))
    known = read(connection, authority, keys)
    if known is not None and known.private_key not in (account.private_key, before):
        raise StorageError(
            f"another host of the cluster has written its account at {authority};"
            f" this one uses that account from the next attempt on",
            fix="no action needed",
        )
    values = (account.directory_url, account.url, list(account.contact))
    sealed = keys.seal(account.private_key)
    if known is not None:
        connection.execute(UPDATE, (*values, sealed, authority))
    elif not connection.execute(INSERT, (authority, *values, sealed)).rowcount:
        write(connection, authority, account, keys, before)


def next_key(connection: Connection, authority: str, keys: SealingKeys) -> bytes | None:
    """Return the new key (PEM) of an unfinished rollover; None if there is none."""
    row = connection.execute(SELECT, (authority,)).fetchone()
    if row is None or row[-1] is None:
        return None
    return _opened(row[-1], f"the next key of the account at {authority}", keys)


def write_next_key(
    connection: Connection, authority: str, private_key: bytes | None, keys: SealingKeys
) -> None:
    """Write the new key of a rollover; None removes it."""
    connection.execute(
        "UPDATE account SET sealed_next_key = %s WHERE authority = %s AND retired IS NULL",
        (None if private_key is None else keys.seal(private_key), authority),
    )


def retire(connection: Connection, authority: str) -> None:
    """Set the account at a CA aside; none is no error."""
    connection.execute(
        "UPDATE account SET retired = clock_timestamp(), sealed_next_key = NULL"
        " WHERE authority = %s AND retired IS NULL",
        (authority,),
    )


def _opened(sealed: bytes, what: str, keys: SealingKeys) -> bytes:
    private_key = keys.open(sealed, what)
    if not pem_files.has_private_key(private_key):
        raise damaged(what, "it is no private key")
    return private_key
