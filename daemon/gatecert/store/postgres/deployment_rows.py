"""Deployments of the newest version that a cluster shares: a row for each host.

The hosts of later rings wait for the reports of earlier ones. A roll-back that is reported may put
the brake on (the trigger ``brake`` of the table).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.model.fleet import SILENT_AFTER
from gatecert.model.roll_out import HostReport, RollOut
from gatecert.store.postgres import halt_rows

if TYPE_CHECKING:
    from psycopg import Connection

    from gatecert.model import DeploymentOutcome

REPORT = """
INSERT INTO deployment (gateway, generation, outcome, reason) VALUES (%s, %s, %s, %s)
ON CONFLICT (cluster, gateway, host) DO UPDATE
  SET generation = excluded.generation, outcome = excluded.outcome, reason = excluded.reason,
    at = CASE WHEN (deployment.generation, deployment.outcome)
        = (excluded.generation, excluded.outcome) THEN deployment.at ELSE clock_timestamp() END
  WHERE (deployment.generation, deployment.outcome, deployment.reason)
    IS DISTINCT FROM (excluded.generation, excluded.outcome, excluded.reason)
    AND (deployment.generation, deployment.outcome, excluded.outcome)
    <> (excluded.generation, 'rolled-back', 'pending')
"""

WRITTEN = """
SELECT created, coalesce((details ->> 'is_urgent')::boolean, false) FROM version
WHERE gateway = %(gateway)s AND generation = %(generation)s
"""

OTHERS = """
SELECT host.name, host.ring, coalesce(host.seen > clock_timestamp() - %(silent_after)s, false),
  coalesce(told.outcome = 'proven' OR (told.outcome = 'rolled-back' AND told.at <= fleet.resumed),
    false),
  CASE WHEN told.outcome = 'rolled-back' AND (fleet.resumed IS NULL OR told.at > fleet.resumed)
    THEN told.reason ELSE '' END
FROM fleet CROSS JOIN host LEFT JOIN deployment AS told ON told.cluster = host.cluster
  AND told.host = host.name AND told.gateway = %(gateway)s AND told.generation = %(generation)s
WHERE host.name <> own_host()
ORDER BY host.ring, host.name
"""


def write(
    connection: Connection, gateway: str, generation: int, outcome: DeploymentOutcome, reason: str
) -> None:
    """Write how this host fares, with the time since when.

    A version that is not tried again for now stays rolled back.

    Args:
        connection: In a transaction.
        gateway: Its name.
        generation: That of the version.
        outcome: How it went.
        reason: Why it is not served; empty if it is.
    """
    connection.execute(REPORT, (gateway, generation, outcome, reason))


def enter_ring(connection: Connection, ring: int) -> None:
    """Tell the other hosts in which ring this one is."""
    connection.execute(
        "UPDATE host SET ring = %(ring)s WHERE name = own_host() AND ring <> %(ring)s",
        {"ring": ring},
    )


def roll_out(connection: Connection, gateway: str, generation: int, ring: int) -> RollOut | None:
    """Return how far a generation has come; None if there is none with this number.

    Args:
        connection: In a transaction.
        gateway: Its name.
        generation: Its number.
        ring: That of this host.
    """
    asked = {"gateway": gateway, "generation": generation, "silent_after": SILENT_AFTER}
    written = connection.execute(WRITTEN, asked).fetchone()
    if written is None:
        return None
    others = tuple(HostReport(*row) for row in connection.execute(OTHERS, asked))
    created, is_urgent = written
    return RollOut(generation, created, is_urgent, ring, others, halt_rows.read(connection))
