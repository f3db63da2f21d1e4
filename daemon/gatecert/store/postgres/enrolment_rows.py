"""The state of enrolment that the hosts of a cluster share: today's JSON, in a row.

A host that holds the lease writes in any case. Others, who have learnt something beside an order
(renewal information, a revocation), write only over what they have read: a host that orders in
between knows better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatecert.model import EnrolmentState
from gatecert.store.codec import decode, encode
from gatecert.store.damaged_files import DamagedRecordError
from gatecert.store.postgres import lease_rows
from gatecert.store.postgres.damaged_rows import damaged_enrolment

if TYPE_CHECKING:
    from uuid import UUID

    from psycopg import Connection


WRITE = """
UPDATE gateway SET enrolment = %s::jsonb WHERE name = %s RETURNING enrolment::text
"""

OVERWRITE = f"""
UPDATE gateway SET enrolment = %s::jsonb
WHERE name = %s AND {lease_rows.IS_FREE_OR_OWN} AND enrolment = %s::jsonb
RETURNING enrolment::text
"""  # noqa: S608 - no part of it comes from outside


@dataclass(frozen=True, slots=True)
class EnrolmentRow:
    """The state of enrolment of a gateway, as read or written.

    Attributes:
        text: The JSON of the row as the server writes it, by which rows are compared.
    """

    state: EnrolmentState
    text: str


UNSEEN: Final = "null"  # no row has it


NEW: Final = EnrolmentRow(EnrolmentState(), "{}")  # what nobody has written yet


def unseen(state: EnrolmentState) -> EnrolmentRow:
    """Return what a host knows while it cannot read the row: nothing is written over it."""
    return EnrolmentRow(state, UNSEEN)


def read(connection: Connection, gateway: str) -> EnrolmentRow:
    """Return the state of enrolment; `NEW` if there is none.

    Raises:
        EnrolmentDamagedError: The row is damaged.
    """
    row = connection.execute(
        "SELECT enrolment::text FROM gateway WHERE name = %s", (gateway,)
    ).fetchone()
    if row is None or row[0] == NEW.text:
        return NEW
    try:
        return EnrolmentRow(decode(EnrolmentState, row[0].encode()), row[0])
    except DamagedRecordError as error:
        raise damaged_enrolment(gateway, str(error)) from error


def write(connection: Connection, gateway: str, state: EnrolmentState, token: UUID) -> EnrolmentRow:
    """Write the state of enrolment under a lease.

    Raises:
        LeaseLostError: Another host has taken it.
    """
    lease_rows.fence(connection, gateway, token)
    text = encode(state, indent=None).decode()
    row = connection.execute(WRITE, (text, gateway)).fetchone()
    return NEW if row is None else EnrolmentRow(state, row[0])


def write_over(
    connection: Connection, gateway: str, state: EnrolmentState, before: EnrolmentRow
) -> EnrolmentRow | None:
    """Write the state of enrolment without a lease.

    Args:
        connection: In a transaction.
        gateway: Its name.
        state: The new state.
        before: What it was made from.

    Returns:
        None if another host has written since, or holds the lease.

    Raises:
        EnrolmentDamagedError: The row is damaged, and stays as it is.
    """
    lease_rows.enter(connection, gateway)
    text = encode(state, indent=None).decode()
    row = connection.execute(OVERWRITE, (text, gateway, before.text)).fetchone()
    if row is not None:
        return EnrolmentRow(state, row[0])
    read(connection, gateway)
    return None
