"""Rows that a host sees of its cluster: hosts, newest certificates, deployments."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from gatecert.errors import SealingKeyMissingError
from gatecert.model import DeploymentOutcome
from gatecert.model.cluster_view import ClusterHost, ClusterView, GatewayRollout, HostDeployment
from gatecert.model.fleet_overview import DatabaseFacts
from gatecert.store.postgres import halt_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from psycopg import Connection

    from gatecert.store.postgres.sealing import SealingKeys
    from gatecert.store.postgres.session_checks import Session

FACTS: Final = """
SELECT now(), own_host(), EXISTS (SELECT FROM pg_catalog.pg_stat_replication)
"""

HOSTS: Final = "SELECT name, ring, seen, twice FROM host ORDER BY name"

NEWEST: Final = """
SELECT gateway.name, gateway.generation, version.created, sealed_key
FROM gateway LEFT JOIN version
  ON version.cluster = gateway.cluster AND version.gateway = gateway.name
  AND version.generation = gateway.generation
WHERE gateway.name = ANY (%s)
"""

DEPLOYMENTS: Final = """
SELECT gateway, host, generation, outcome, reason, at FROM deployment
WHERE gateway = ANY (%s) ORDER BY gateway, host
"""


def read(
    connection: Connection, session: Session, gateways: Collection[str], keys: SealingKeys
) -> ClusterView:
    """Return what this host sees.

    Args:
        connection: In a transaction.
        session: The facts about the connection.
        gateways: Their names.
        keys: The sealing keys of this host, which are tried on the newest private keys.
    """
    names = list(gateways)
    ((now, own, replicated),) = connection.execute(FACTS).fetchall()
    deployments = defaultdict(list)
    for gateway, host, generation, outcome, reason, at in connection.execute(DEPLOYMENTS, [names]):
        deployment = HostDeployment(host, generation, DeploymentOutcome(outcome), reason, at)
        deployments[gateway].append(deployment)
    newest = connection.execute(NEWEST, [names]).fetchall()
    return ClusterView(
        at=now,
        own=own,
        database=DatabaseFacts(session.where, session.synchronous, session.schema, replicated),
        excess=session.excess,
        hosts=tuple(ClusterHost(*row) for row in connection.execute(HOSTS)),
        halt=halt_rows.read(connection),
        rollouts={
            name: GatewayRollout(generation, created, tuple(deployments[name]))
            for name, generation, created, _ in newest
        },
        unopened=tuple(_unopened(((name, sealed) for name, *_, sealed in newest), keys)),
    )


def _unopened(newest: Iterator[tuple[str, bytes | None]], keys: SealingKeys) -> Iterator[str]:
    for name, sealed in newest:
        try:
            if sealed is not None:
                keys.open(sealed, name)
        except SealingKeyMissingError:
            yield name
