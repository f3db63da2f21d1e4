"""Turns of orders at a CA among all hosts of a fleet, and what holds orders back: pauses and halts.

So many orders are in progress at a CA at a time (``most_orders``): gateways with an open intent and
a lease that lasts. A gateway that finds no free turn waits: its row says at which CA and until
when. While it does, none that is less urgent gets a turn that it could have. It asks again in time,
the sooner the fewer are in front of it; if its host is lost, it is soon not waited for any more.

All of it is read and written while the row of the CA is locked, so hosts ask one after the other.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from gatecert.model import LimitReached, OrderHeld
from gatecert.model.fleet import ENDS_SOON, free_turns
from gatecert.store.postgres import halt_rows
from gatecert.time_format import duration

if TYPE_CHECKING:
    from datetime import datetime

    from psycopg import Connection

    from gatecert.model.fleet import Priority

TURN_PAUSE: Final = timedelta(seconds=5)  # a fast CA issues within that
LONGEST_TURN_PAUSE: Final = timedelta(minutes=5)
LATE: Final = timedelta(minutes=1)  # a busy host asks so much later than it wants to
HALT_PAUSE: Final = timedelta(minutes=5)
MOST_COUNTED: Final = 1000  # waiting gateways

WAIT = """
UPDATE gateway SET waits_at = %s, waits_until = now() + %s WHERE name = %s
"""

GIVE = """
UPDATE gateway SET waits_at = NULL, waits_until = NULL WHERE name = %s AND waits_at IS NOT NULL
"""


def pause(connection: Connection, directory_url: str, length: timedelta) -> None:
    """Let no host place an order at a CA for so long from now, a day at most."""
    connection.execute("SELECT pause_authority(%s, %s)", (directory_url, length))


def paused(connection: Connection, directory_url: str, now: datetime) -> LimitReached | None:
    """Return until when a CA wants no orders; None if it takes them."""
    row = connection.execute(
        "SELECT not_before FROM authority WHERE directory_url = %s", (directory_url,)
    ).fetchone()
    if row is None or row[0] is None or row[0] <= now:
        return None
    return LimitReached(row[0], "orders for now: it has asked a host of the fleet to wait")


def halted(connection: Connection, not_after: datetime | None, now: datetime) -> OrderHeld | None:
    """Return why the whole fleet orders nothing; None if it does, or the certificate ends soon."""
    halt = halt_rows.read(connection)
    if not halt.stops(not_after, now):
        return None
    return OrderHeld(
        HALT_PAUSE,
        f"because {halt.words}; only a certificate that ends within {duration(ENDS_SOON)} is"
        " replaced",
        "once the reason is gone: gatecert fleet resume",
    )


def take(
    connection: Connection,
    gateway: str,
    priority: Priority,
    directory_url: str,
    most_orders: int,
) -> OrderHeld | None:
    """Take a turn at a CA, or wait for one: a more urgent order goes first.

    Args:
        connection: In a transaction that has locked the row of the CA.
        gateway: Its name.
        priority: How urgent it is.
        directory_url: The CA's directory.
        most_orders: Orders in progress at the same time, by all hosts together.

    Returns:
        Why there is no turn for it now; None if it has one from the commit on, if the transaction
        opens an intent.
    """
    ((in_progress, ahead),) = connection.execute(
        "SELECT * FROM turns(%s, %s, %s)", (directory_url, gateway, MOST_COUNTED)
    ).fetchall()
    if free_turns(most_orders, in_progress, priority) > ahead:
        connection.execute(GIVE, (gateway,))
        return None
    wait = min(TURN_PAUSE * (1 + ahead // most_orders), LONGEST_TURN_PAUSE)
    connection.execute(WAIT, (directory_url, wait + LATE, gateway))
    reason = f"for its turn: {in_progress} of {most_orders} orders in progress in the fleet; "
    if ahead:
        reason += f"{ahead} more urgent ones wait"
    elif in_progress < most_orders:
        reason += "the rest is kept for urgent ones"
    else:
        reason += "the most urgent goes first"
    return OrderHeld(wait, reason, "no action needed")
