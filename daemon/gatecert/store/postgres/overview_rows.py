"""The whole fleet in some statements, each of which reads a set of rows once.

The view ``overview`` shows a host the gateways of its cluster, and observers and the owner all of
them. What a limit of a CA counts is counted in the whole fleet for everybody; but a host learns of
the groups only in which its own cluster has requests.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from gatecert.model import Limits
from gatecert.model.fleet import SILENT_AFTER
from gatecert.model.fleet_overview import (
    AuthorityUse,
    DatabaseFacts,
    EndingGateway,
    FleetOverview,
    FleetState,
    LimitUse,
    SilentHost,
)
from gatecert.store.counting_rules import LIMITED
from gatecert.store.postgres import halt_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date, datetime

    from psycopg import Connection

    from gatecert.model import RateLimit

SHOWN_LIMITS: Final = ("certificates", "orders")  # in which many gateways are counted together
MOST_GROUPS: Final = 5  # looked at to find the fullest
MOST_SILENT: Final = 20  # hosts that are named

FACTS: Final = """
SELECT now(), current_setting('synchronous_standby_names') <> '', version_num,
  EXISTS (SELECT FROM pg_catalog.pg_stat_replication), own_cluster()
FROM alembic_version
"""

_PLAIN: Final = """
CASE
  WHEN not_after <= now() THEN 'expired' WHEN priority = 0 THEN 'revoked'
  WHEN not_after IS NULL THEN 'waiting' ELSE 'trusted'
END
"""
GATEWAYS: Final = f"""
SELECT {_PLAIN},
  CASE WHEN due IS NOT NULL THEN greatest(due, now())::date END, count(*)
FROM overview GROUP BY 1, 2
"""  # noqa: S608 - a constant

# The few whose state depends on other tables; these are not joined with all gateways.
OTHERS: Final = f"""
SELECT {_PLAIN}, state, order_at IS NOT NULL FROM overview WHERE order_at IS NOT NULL
UNION ALL
SELECT {_PLAIN}, state, false FROM overview WHERE refused = generation AND order_at IS NULL
"""  # noqa: S608 - a constant

ENDS_NEXT: Final = """
SELECT cluster, name, not_after, coalesce(failures::int, 0) FROM overview
WHERE not_after > now() ORDER BY not_after LIMIT 1
"""

AUTHORITIES: Final = """
SELECT directory_url, coalesce(in_flight, 0), not_before
FROM authority LEFT JOIN (
  SELECT order_at, count(*) AS in_flight FROM overview
  WHERE order_at IS NOT NULL AND host IS NOT NULL GROUP BY order_at  -- as turns() counts
) AS orders ON order_at = directory_url
ORDER BY directory_url
"""

GROUPS: Final = """
SELECT value, count(*) FROM (
  SELECT value FROM expense
  WHERE directory_url = %s AND kind = %s AND counted_by = %s AND at > %s
  GROUP BY value ORDER BY count(*) DESC LIMIT %s
) AS busy, instants(%s, %s, %s, value, %s, %s) GROUP BY value ORDER BY 2 DESC, 1 LIMIT 1
"""

HOSTS: Final = """
SELECT count(*), count(*) FILTER (WHERE seen IS NULL OR seen <= now() - %s) FROM host
"""

SILENT: Final = """
SELECT cluster, name, seen FROM host WHERE seen IS NULL OR seen <= now() - %s
ORDER BY seen NULLS FIRST, cluster, name LIMIT %s
"""


def read(connection: Connection, server: str, limits: Mapping[str, Limits]) -> FleetOverview:
    """Return the overview of what the login may see.

    Args:
        connection: In a transaction with the schema's search path and the time zone UTC.
        server: How the server is called.
        limits: The rate limits of CAs by the URL of their directories; others are not counted.
    """
    ((at, synchronous, schema, replicated, cluster),) = connection.execute(FACTS).fetchall()
    states: Counter[FleetState] = Counter()
    due: Counter[date] = Counter()
    for state, day, number in connection.execute(GATEWAYS).fetchall():
        states[FleetState(state)] += number
        if day is not None:
            due[day] += number
    first_orders = states[FleetState.WAITING]
    for plain, state, is_ordered in connection.execute(OTHERS).fetchall():
        states[FleetState(plain)] -= 1
        states[FleetState(state)] += 1
        first_orders -= is_ordered and plain == FleetState.WAITING
    ends_next = connection.execute(ENDS_NEXT).fetchone()
    ((hosts, silent),) = connection.execute(HOSTS, [SILENT_AFTER]).fetchall()
    silent_hosts = (
        connection.execute(SILENT, [SILENT_AFTER, MOST_SILENT]).fetchall() if silent else []
    )
    return FleetOverview(
        at=at,
        database=DatabaseFacts(server, synchronous, int(schema), replicated),
        cluster=cluster or "",
        states={state: states[state] for state in FleetState},
        ends_next=EndingGateway(*ends_next) if ends_next is not None else None,
        due=due,
        first_orders=first_orders,
        authorities=tuple(_authorities(connection, limits, at)),
        hosts=hosts,
        silent=silent,
        silent_hosts=tuple(SilentHost(*each) for each in silent_hosts),
        halt=halt_rows.read(connection),
    )


def _authorities(
    connection: Connection, limits: Mapping[str, Limits], now: datetime
) -> Iterator[AuthorityUse]:
    for directory_url, in_flight, not_before in connection.execute(AUTHORITIES).fetchall():
        known = limits.get(directory_url, Limits())
        fullest = [
            use
            for name in SHOWN_LIMITS
            if (allowance := getattr(known, name)) is not None
            for use in _fullest(connection, directory_url, name, allowance, now)
        ]
        paused = not_before if not_before is not None and not_before > now else None
        yield AuthorityUse(directory_url, in_flight, paused, tuple(fullest))


def _fullest(
    connection: Connection, directory_url: str, name: str, allowance: RateLimit, now: datetime
) -> Iterator[LimitUse]:
    """Yield the fullest group of a limit, unless there is none."""
    limited, since = LIMITED[name], allowance.begin(now)
    which = (directory_url, limited.kind, limited.by)
    row = connection.execute(
        GROUPS, (*which, since, MOST_GROUPS, *which, since, allowance.count)
    ).fetchone()
    if row is not None:
        yield LimitUse(name, *row)
