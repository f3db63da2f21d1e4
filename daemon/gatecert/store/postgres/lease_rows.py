"""Leases in the rows of gateways: the host that may order, by the server's clock.

The UUID of a lease is random: a counter could be given out twice if its last values were lost with
a server. A write compares the UUID (`fence`), which also locks the row until the transaction ends;
so nothing is written for a gateway that another host has taken in between.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from gatecert.model.fleet import Priority
from gatecert.store.postgres import host_rows
from gatecert.store.postgres.held_lease import lost

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from psycopg import Connection

    from gatecert.model.fleet import Urgency

_GIVE = """
UPDATE gateway SET lease = %(token)s, lease_host = own_host(),
  lease_until = clock_timestamp() + %(length)s
"""
IS_FREE = "(lease IS NULL OR lease_until <= now())"  # now(): begin of the transaction
IS_FREE_OR_OWN = f"({IS_FREE} OR lease_host = own_host())"  # perhaps of a process that was lost

CLAIM = f"{_GIVE} WHERE name = %(gateway)s AND {IS_FREE}"

RAISE = """
UPDATE gateway SET priority = %(ending)s
WHERE cluster = own_cluster() AND name = ANY (ARRAY(
  SELECT name FROM gateway WHERE due IS NOT NULL AND priority > 1 AND ending_from <= now()
  FOR UPDATE SKIP LOCKED
))
"""

CLAIM_MOST_URGENT = f"""
{_GIVE}
WHERE cluster = own_cluster() AND name = (
  SELECT name FROM gateway
  WHERE due <= now() AND {IS_FREE} AND starts_with(name, %(prefix)s)
  ORDER BY priority, not_after NULLS FIRST LIMIT 1
  FOR UPDATE SKIP LOCKED
)
RETURNING name
"""  # noqa: S608 - no part of it comes from outside

TAKE_BACK = f"""
{_GIVE}
WHERE cluster = own_cluster() AND name = (
  SELECT name FROM gateway
  WHERE lease_host = own_host() AND lease <> ALL (%(held)s) AND starts_with(name, %(prefix)s)
  LIMIT 1
  FOR UPDATE SKIP LOCKED
)
RETURNING name
"""  # noqa: S608 - as above

RENEW = """
UPDATE gateway SET lease_until = clock_timestamp() + %(length)s
WHERE name = %(gateway)s AND lease = %(token)s
"""

RELEASE = """
UPDATE gateway SET lease = NULL, lease_host = NULL, lease_until = NULL
WHERE name = %s AND lease = %s
"""

SCHEDULE = """
UPDATE gateway SET priority = %(priority)s, not_after = %(not_after)s,
  ending_from = %(ending_from)s, due = %(due)s, due_host = own_host()
WHERE name = %(gateway)s AND (
  (priority, not_after, ending_from) IS DISTINCT FROM
    (%(priority)s, %(not_after)s, %(ending_from)s)
  OR (due IS DISTINCT FROM %(due)s AND (due <= now() AND %(due)s <= now()) IS NOT TRUE)
)
"""

CLEAR = """
UPDATE gateway SET due = NULL
WHERE due IS NOT NULL
  AND NOT EXISTS (SELECT FROM unnest(%s::text[]) AS kept (name) WHERE kept.name = gateway.name)
  AND NOT starts_with(gateway.name, 'field/')  -- which no host has
  AND NOT EXISTS (
    SELECT FROM host
    WHERE host.name = due_host AND host.name <> own_host() AND seen IS NOT NULL
  )
"""

SEEN = "UPDATE host SET seen = clock_timestamp() WHERE name = own_host()"


def enter(connection: Connection, gateway: str) -> None:
    """Give a gateway its row, unless it has one."""
    connection.execute("INSERT INTO gateway (name) VALUES (%s) ON CONFLICT DO NOTHING", (gateway,))


def claim(connection: Connection, gateway: str, length: float) -> UUID | None:
    """Take the lease of a gateway.

    Args:
        connection: In a transaction.
        gateway: Its name.
        length: In seconds.

    Returns:
        None if another host holds it.

    Raises:
        HostTwiceError: Another daemon has this host's name.
    """
    host_rows.check_alone(connection)
    wanted = _lease(gateway, token := uuid4(), length)
    connection.execute(SEEN)
    if connection.execute(CLAIM, wanted).rowcount:
        return token
    enter(connection, gateway)
    return token if connection.execute(CLAIM, wanted).rowcount else None


def claim_most_urgent(
    connection: Connection, length: float, *, prefix: str = ""
) -> tuple[str, UUID] | None:
    """Take the lease of the gateway whose order is due and most urgent; None if none is.

    Gateways whose certificate has begun to end since they were scheduled become more urgent first.
    Those that another host claims at the same instant are skipped, not waited for.

    Args:
        connection: In a transaction.
        length: In seconds.
        prefix: Of the gateways' names.

    Raises:
        HostTwiceError: Another daemon has this host's name.
    """
    host_rows.check_alone(connection)
    token = uuid4()
    connection.execute(RAISE, {"ending": int(Priority.ENDING)})
    wanted = _lease("", token, length) | {"prefix": prefix}
    row = connection.execute(CLAIM_MOST_URGENT, wanted).fetchone()
    return None if row is None else (row[0], token)


def take_back(
    connection: Connection, length: float, *, held: Collection[UUID], prefix: str = ""
) -> tuple[str, UUID] | None:
    """Take a lease that a process of this host has left when it was lost; None if there is none.

    Args:
        connection: In a transaction.
        length: In seconds.
        held: The leases of this process.
        prefix: Of the gateways' names.
    """
    wanted = _lease("", token := uuid4(), length) | {"held": list(held), "prefix": prefix}
    row = connection.execute(TAKE_BACK, wanted).fetchone()
    return None if row is None else (row[0], token)


def renew(connection: Connection, gateway: str, token: UUID, length: float) -> bool:
    """Let a lease last from now again; false if another host has taken it."""
    connection.execute(SEEN)
    return bool(connection.execute(RENEW, _lease(gateway, token, length)).rowcount)


def release(connection: Connection, gateway: str, token: UUID) -> None:
    """End a lease; one that another host has taken is left alone."""
    connection.execute(RELEASE, (gateway, token))


def fence(connection: Connection, gateway: str, token: UUID) -> int:
    """Make sure that the lease is still held, until the transaction ends.

    Returns:
        The gateway's newest generation; zero without any.

    Raises:
        LeaseLostError: Another host has taken it.
    """
    row = connection.execute(
        "SELECT generation FROM gateway WHERE name = %s AND lease = %s FOR UPDATE",
        (gateway, token),
    ).fetchone()
    if row is None:
        raise lost(gateway)
    return int(row[0])


def is_free(connection: Connection, gateway: str) -> bool:
    """Tell whether no other host holds the lease, which stays so until the transaction ends."""
    row = connection.execute(
        f"SELECT {IS_FREE_OR_OWN} FROM gateway WHERE name = %s FOR UPDATE",  # noqa: S608 - a constant
        (gateway,),
    ).fetchone()
    return row is None or bool(row[0])


def generation(connection: Connection, gateway: str) -> int:
    """Return the newest generation of a gateway; zero without any."""
    row = connection.execute(
        "SELECT generation FROM gateway WHERE name = %s", (gateway,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def urgency(connection: Connection, gateway: str) -> tuple[Priority, datetime | None]:
    """Return how urgent a gateway is, and when its certificate ends; it has a row."""
    ((priority, not_after),) = connection.execute(
        "SELECT priority, not_after FROM gateway WHERE name = %s", (gateway,)
    ).fetchall()
    return Priority(priority), not_after


def schedule(connection: Connection, gateway: str, urgency: Urgency, due: datetime | None) -> None:
    """Say when the next order is due, and how urgent it is; None if nothing is due.

    An order that was due stays due since then.
    """
    values = {
        "gateway": gateway,
        "priority": int(urgency.priority),
        "not_after": urgency.not_after,
        "ending_from": urgency.ending_from,
        "due": due,
    }
    if not connection.execute(SCHEDULE, values).rowcount:
        enter(connection, gateway)
        connection.execute(SCHEDULE, values)


def keep_scheduled(connection: Connection, gateways: Iterable[str]) -> None:
    """Say that nothing is due for gateways that this host does not have, and was the last to tell.

    Where the last one to tell has left the cluster, any other host does. One that has the gateway
    nonetheless tells it again within an hour.

    Args:
        connection: In a transaction.
        gateways: The names of those that this host has.
    """
    connection.execute(CLEAR, (list(gateways),))


def _lease(gateway: str, token: UUID, length: float) -> dict[str, object]:
    return {"gateway": gateway, "token": token, "length": timedelta(seconds=length)}
