"""Rows of the follower's report: hosts, open orders, newest certificates, halts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatecert.model.fleet_report import FleetReport
from gatecert.store.postgres import halt_rows
from gatecert.store.postgres.host_rows import SILENT

if TYPE_CHECKING:
    from psycopg import Connection

HOSTS: Final = """
SELECT name, seen IS NULL OR seen <= clock_timestamp() - %(silent)s FROM host ORDER BY name
"""

OPEN_ORDERS: Final = """
SELECT directory_url, count(*) FROM intent
JOIN gateway ON gateway.cluster = intent.cluster AND gateway.name = intent.gateway
WHERE closed IS NULL AND lease_until > now() GROUP BY directory_url
"""

BEHIND: Final = """
SELECT count(*), now() FROM gateway
JOIN version AS newest ON newest.cluster = gateway.cluster AND newest.gateway = gateway.name
  AND newest.generation = gateway.generation AND newest.sealed_key IS NOT NULL
LEFT JOIN deployment AS own
  ON own.cluster = gateway.cluster AND own.gateway = gateway.name AND own.host = own_host()
WHERE (own.generation, own.outcome) IS DISTINCT FROM (gateway.generation, 'proven')
"""


def read(connection: Connection) -> FleetReport:
    """Return the report of a host that can use the database: since now, as far as a row knows."""
    hosts = connection.execute(HOSTS, SILENT).fetchall()
    ((behind, now),) = connection.execute(BEHIND).fetchall()
    return FleetReport(
        since=now,
        hosts=len(hosts),
        silent=tuple(name for name, is_silent in hosts if is_silent),
        behind=behind,
        in_flight=dict(connection.execute(OPEN_ORDERS).fetchall()),
        halt=halt_rows.read(connection),
    )
