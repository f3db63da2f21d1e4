"""Sealing anew: every private key of a cluster is sealed with the first key of this host.

Each batch is a transaction that locks its rows, so what another host writes at the same time is
neither lost nor left out. It may be interrupted at any point, and repeated. A host that does not
have the key in front yet seals with the old one in the meantime: so all rows are looked at until
none has changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg import sql

from gatecert.errors import SealingKeyMissingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psycopg import Connection

    from gatecert.store.postgres.database import Database
    from gatecert.store.postgres.sealing import SealingKeys

BATCH: Final = 200  # rows; far below the time that the server gives a transaction


@dataclass(frozen=True, slots=True)
class _Table:
    """A table with sealed keys.

    Attributes:
        key: Columns that tell rows of a cluster apart: a name and a number.
        columns: Columns with what is sealed.
        what: What is sealed, to be filled with the key.
    """

    name: str
    key: tuple[str, str]
    columns: tuple[str, ...]
    what: str


TABLES: Final = (
    _Table(
        "account",
        ("authority", "id"),
        ("sealed_key", "sealed_next_key"),
        "the key of the account at {}",
    ),
    _Table(
        "intent",
        ("gateway", "generation"),
        ("sealed_key",),
        "the key of an order of gateway {}, generation {}",
    ),
    _Table(
        "version",
        ("gateway", "generation"),
        ("sealed_key", "sealed_second_key"),
        "the key of gateway {}, generation {}",
    ),
)


@dataclass(frozen=True, slots=True)
class Resealed:
    """The result of sealing anew.

    Attributes:
        changed: How many keys were sealed with the first key.
        total: How many there are.
        unopened: What no key of this host opens, in words.
    """

    changed: int
    total: int
    unopened: tuple[str, ...]


def reseal(database: Database, keys: SealingKeys) -> Resealed:
    """Seal every private key of the cluster with the first key.

    Raises:
        DatabaseError: The database is away, or refuses; what was sealed anew by then stays so.
    """
    changed = 0
    while True:
        found = [each for table in TABLES for each in _reseal_table(database, table, keys)]
        now = sum(each.changed for each in found)
        changed += now
        if not now:
            unopened = tuple(what for each in found for what in each.unopened)
            return Resealed(changed, sum(each.total for each in found), unopened)


def _reseal_table(database: Database, table: _Table, keys: SealingKeys) -> Iterator[Resealed]:
    """Yield the result of each batch of a table."""
    last: tuple[object, ...] = ("", 0)
    while True:
        with database.transaction() as rows:
            batch = _locked(rows, table, last)
            result = _reseal_batch(rows, table, batch, keys)
        yield result
        if len(batch) < BATCH:
            return
        last = tuple(batch[-1][: len(table.key)])


def _locked(rows: Connection, table: _Table, last: tuple[object, ...]) -> list[tuple[object, ...]]:
    """Return the next rows behind a key: their keys, then what is sealed."""
    key = sql.SQL(", ").join(map(sql.Identifier, table.key))
    return rows.execute(
        sql.SQL(
            "SELECT {key}, {columns} FROM {table} WHERE ({key}) > ({last}) AND {first} IS NOT NULL "
            "ORDER BY {key} LIMIT {most} FOR UPDATE"
        ).format(
            key=key,
            columns=sql.SQL(", ").join(map(sql.Identifier, table.columns)),
            table=sql.Identifier(table.name),
            last=sql.SQL(", ").join(sql.Placeholder() * len(last)),
            first=sql.Identifier(table.columns[0]),
            most=sql.Literal(BATCH),
        ),
        last,
    ).fetchall()


def _reseal_batch(
    rows: Connection, table: _Table, batch: Sequence[tuple[object, ...]], keys: SealingKeys
) -> Resealed:
    changed, total, unopened = 0, 0, []
    same = sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(k)) for k in table.key)
    for row in batch:
        key, secrets = row[: len(table.key)], row[len(table.key) :]
        what = table.what.format(*key)
        for column, sealed in zip(table.columns, secrets, strict=True):
            if not isinstance(sealed, bytes):
                continue
            total += 1
            try:
                anew = keys.sealed_anew(sealed, what)
            except SealingKeyMissingError:
                unopened.append(what)
                continue
            if anew is not None:
                statement = sql.SQL("UPDATE {} SET {} = %s WHERE ").format(
                    sql.Identifier(table.name), sql.Identifier(column)
                )
                rows.execute(statement + same, (anew, *key))
                changed += 1
    return Resealed(changed, total, tuple(unopened))
