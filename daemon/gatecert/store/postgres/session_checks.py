"""Settings and checks of each new connection to the fleet's database.

The session's settings make a COMMIT mean what gatecert relies on: it waits for the standby if there
is one, and says by a warning if it has not. The checks find a pooler that keeps no sessions, a
schema of another time, and a role that is not this host or may do more than a host should.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatecert.errors import LoginRefusedError, PoolerUnfitError, SchemaUnknownError
from gatecert.store.postgres.connection_errors import CONSEQUENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatecert.model.fleet import FleetHost
    from gatecert.store.postgres.bounded_connection import BoundedConnection

OLDEST_USABLE: Final = 1  # schema that this release can work with
NEWEST_KNOWN: Final = 1  # schema that it knows; newer ones say whether they serve it

SETTINGS: Final = {
    "search_path": "gatecert, pg_temp",
    "timezone": "UTC",
    "client_min_messages": "warning",  # of COMMIT
    "statement_timeout": "2500ms",  # before the client's own deadline
    "lock_timeout": "2000ms",
    "idle_in_transaction_session_timeout": "5s",  # a frozen host keeps no row locked
    "plan_cache_mode": "force_custom_plan",  # how much is due decides which plan is fast
}
SETTLE: Final = (
    f"SELECT {', '.join(['set_config(%s, %s, false)'] * len(SETTINGS))}, "
    "CASE WHEN current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') "
    "THEN set_config('synchronous_commit', 'on', false) END"
)

RIGHTS: Final = """
SELECT rolsuper, rolbypassrls,
  EXISTS (SELECT FROM pg_catalog.pg_class AS owned WHERE owned.relnamespace = space.oid
    AND pg_catalog.pg_has_role(session_user, owned.relowner, 'USAGE')),
  pg_catalog.current_setting('synchronous_standby_names') <> '',
  space.oid IS NOT NULL,
  pg_catalog.has_schema_privilege(session_user, space.oid, 'USAGE')
FROM pg_catalog.pg_roles
LEFT JOIN pg_catalog.pg_namespace AS space ON nspname = 'gatecert'
WHERE rolname = session_user
"""

SCHEMA: Final = """
SELECT version_num, oldest_schema, own_cluster(), own_host() FROM alembic_version, fleet
"""


@dataclass(frozen=True, slots=True)
class Session:
    """The facts about a connection.

    Attributes:
        where: The server, ``host:port``.
        schema: Number of the database's schema.
        synchronous: Whether a COMMIT waits for a standby.
        excess: What the role may do although no host needs it, in words; empty is right.
    """

    where: str
    schema: int
    synchronous: bool
    excess: tuple[str, ...]


def settle(connection: BoundedConnection) -> None:
    """Make the settings of the session."""
    connection.execute(SETTLE, [part for pair in SETTINGS.items() for part in pair])


def check(connection: BoundedConnection, place: FleetHost, where: str) -> Session:
    """Check schema and role.

    Raises:
        SchemaUnknownError: The schema is missing, too old or too new.
        LoginRefusedError: The role is no host of the fleet, or another one.
    """
    name, role = place.database.name, place.database.user
    row = connection.execute(RIGHTS).fetchone()
    assert row is not None  # noqa: S101 - a session's role exists
    superuser, bypasses, owns, synchronous, exists, permitted = row
    if not exists:
        raise SchemaUnknownError(
            f"the database {name} of {where} has no schema gatecert: {CONSEQUENCE}",
            fix="run gatecert fleet migrate, or correct fleet.database.name",
        )
    if not permitted:
        raise _no_host(role, where)
    excess = {"is a superuser": superuser, "bypasses row-level security": bypasses}
    excess["owns the tables"] = owns and not superuser
    schema, cluster, host = _checked_schema(connection, where)
    if host is None:
        raise _no_host(role, where)
    if (cluster, host) != (place.cluster, place.host):
        raise LoginRefusedError(
            f"the role {role} is host {host} of cluster {cluster}, not {place.host} of "
            f"{place.cluster}: {CONSEQUENCE}",
            fix="correct fleet.cluster and fleet.host, or use this host's own certificate",
        )
    return Session(where, schema, synchronous, tuple(what for what, it in excess.items() if it))


def _checked_schema(
    connection: BoundedConnection, where: str
) -> tuple[int, str | None, str | None]:
    row = connection.execute(SCHEMA).fetchone()
    number, oldest, cluster, host = row or ("0", 0, None, None)
    schema = int(number) if number.isdecimal() else 0
    if schema < OLDEST_USABLE:
        raise SchemaUnknownError(
            f"the schema of the fleet's database {where} is number {number}, older than "
            f"{OLDEST_USABLE}: {CONSEQUENCE}",
            fix="run gatecert fleet migrate of this release",
        )
    if oldest > NEWEST_KNOWN:
        raise SchemaUnknownError(
            f"the schema of the fleet's database {where} is number {schema}, which serves no "
            f"gatecert that knows only {NEWEST_KNOWN}: {CONSEQUENCE}",
            fix="upgrade gatecert on this host",
        )
    return schema, cluster, host


def _no_host(role: str, where: str) -> LoginRefusedError:
    return LoginRefusedError(
        f"the role {role} is no host of the fleet at {where}: {CONSEQUENCE}",
        fix="add this host with gatecert fleet init, or correct fleet.database.user",
    )


def check_pooler(
    connection: BoundedConnection, another: Callable[[], BoundedConnection], where: str
) -> None:
    """Check that consecutive transactions run on the same connection of the server.

    A pooler is there if the server has told the client another process than it runs. Without
    sessions, it gives the server's connection to the next client that asks.

    Args:
        connection: The connection to check; no transaction is open.
        another: Opens another connection to the same server.
        where: The server.

    Raises:
        PoolerUnfitError: They may not.
    """
    first = _process(connection)
    if first == connection.info.backend_pid:
        return
    with another() as second:
        second.execute("BEGIN")
        taken = _process(second)
        if taken != first and _process(connection) == first:
            return
    raise PoolerUnfitError(
        f"the pooler at {where} keeps no sessions: {CONSEQUENCE}",
        fix="set pool_mode = session in the pooler, or name the servers in fleet.database.hosts",
    )


def _process(connection: BoundedConnection) -> int:
    row = connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
    return int(row[0]) if row else 0
