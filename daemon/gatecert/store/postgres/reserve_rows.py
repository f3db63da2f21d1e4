"""Reserved orders in the rows of gateways: which host may place one without the database.

A reserved order has a generation of its own, that no other order gets: hosts that can reach the
database order with later ones. It belongs to one host, until there is a version with its
generation or a later one, or until that host has not been seen for a day; the next host then gets
another generation. So there is one certificate a generation at most, whichever host is cut off.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from gatecert.store.postgres import host_rows, intent_rows
from gatecert.store.postgres.lease_rows import IS_FREE_OR_OWN

if TYPE_CHECKING:
    from psycopg import Connection

UNSEEN: Final = timedelta(days=1)  # after which a host has lost what was reserved for it

FIND: Final = f"""
SELECT generation, reserve, reserve_host = own_host(),
  EXISTS (
    SELECT FROM host WHERE host.cluster = gateway.cluster AND host.name = reserve_host
      AND seen > clock_timestamp() - %s
  ),
  EXISTS (
    SELECT FROM intent WHERE intent.cluster = gateway.cluster AND intent.gateway = gateway.name
      AND closed IS NULL
  )
FROM gateway WHERE name = %s AND {IS_FREE_OR_OWN} FOR UPDATE
"""  # noqa: S608 - a constant

GIVE: Final = "UPDATE gateway SET reserve = %s, reserve_host = own_host() WHERE name = %s"

GIVE_BACK: Final = """
UPDATE gateway SET reserve_host = NULL WHERE name = %s AND reserve_host = own_host()
"""


def give(connection: Connection, gateway: str, newest: int, held: int) -> int | None:
    """Reserve the next order of a gateway for this host, unless another one has it.

    Args:
        connection: In a transaction.
        gateway: Its name.
        newest: The newest generation that this host has.
        held: What it knows to be reserved for it; zero if nothing is.

    Returns:
        The generation of the order; zero if this host gets none; None if that cannot be decided
        while an order is open.

    Raises:
        HostTwiceError: Another daemon has this host's name.
    """
    host_rows.check_alone(connection)
    found = connection.execute(FIND, (UNSEEN, gateway)).fetchone()
    if found is None:
        return None
    generation, reserved, is_own, is_seen, is_ordered = found
    if is_ordered:
        return None
    if not generation or generation != newest:
        return 0
    if reserved > generation:
        if is_own and reserved == held:
            return held
        if is_seen and not is_own:
            return 0
    following = intent_rows.next_generation(connection, gateway, generation)
    connection.execute(GIVE, (following, gateway))
    return following


def give_back(connection: Connection, gateway: str) -> None:
    """Leave the next reserved order to another host; one of another host is left alone."""
    connection.execute(GIVE_BACK, (gateway,))


def write_again(connection: Connection, gateway: str, generation: int) -> None:
    """Write again what a server that took over may have lost."""
    connection.execute(
        f"{GIVE} AND greatest(reserve, generation) < %s", (generation, gateway, generation)
    )
