"""The clusters and hosts of a fleet, kept with the login of the owner.

Each host logs in as a role of its own, by a certificate with the role's name as its common name.
The role is a member of ``gatecert_host``, and row-level security shows it the rows of its cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

if TYPE_CHECKING:
    from psycopg import Connection

OF_THE_SERVER: Final = "pg_"  # beginning of roles that exist everywhere
OF_THE_SCHEMA: Final = {"gatecert_host", "gatecert_observer", "gatecert_relay"}


def add_cluster(owner: Connection, cluster: str) -> None:
    """Add a cluster; one that exists is no error."""
    owner.execute("INSERT INTO gatecert.cluster VALUES (%s) ON CONFLICT DO NOTHING", [cluster])


def add_host(owner: Connection, cluster: str, host: str, role: str, *, ring: int = 1) -> str:
    """Add a host and the role by which it logs in; what exists is kept.

    A host logs in by one role: another one that it had is removed.

    Args:
        owner: The owner's connection.
        cluster: An existing cluster.
        host: The host's name in its cluster.
        role: Common name of its certificate.
        ring: New certificates go to the hosts of ring 1 first.

    Returns:
        The role that was removed; empty if none was.

    Raises:
        psycopg.IntegrityError: Another host has the role, or there is no such cluster.
    """
    known = owner.execute("SELECT FROM pg_catalog.pg_roles WHERE rolname = %s", [role]).fetchone()
    if known is None:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    former = owner.execute(
        "SELECT login FROM gatecert.host WHERE (cluster, name) = (%s, %s) AND login <> %s",
        [cluster, host, role],
    ).fetchone()
    owner.execute(sql.SQL("GRANT gatecert_host TO {}").format(sql.Identifier(role)))
    owner.execute(
        "INSERT INTO gatecert.host (cluster, name, login, ring) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (cluster, name) DO UPDATE SET login = excluded.login, ring = excluded.ring",
        [cluster, host, role, ring],
    )
    if former is None:
        return ""
    _drop_role(owner, former[0])
    return str(former[0])


def remove_host(owner: Connection, cluster: str, host: str) -> None:
    """Remove a host and its role, so that it cannot log in any more; none is no error.

    What it counted and ordered stays. Without any host, nothing is due in the cluster.
    """
    removed = owner.execute(
        "DELETE FROM gatecert.host WHERE cluster = %s AND name = %s RETURNING login",
        [cluster, host],
    ).fetchone()
    if removed is not None:
        _drop_role(owner, removed[0])
    owner.execute(
        "UPDATE gatecert.gateway SET due = NULL WHERE cluster = %(cluster)s AND due IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM gatecert.host WHERE cluster = %(cluster)s)",
        {"cluster": cluster},
    )


def _drop_role(owner: Connection, role: str) -> None:
    """Take a login away; no other host has it, as the table of hosts sees to.

    A role that is not a host's own, which an earlier release let it have, stays without its rights.
    """
    is_needed = role.startswith(OF_THE_SERVER) or role in OF_THE_SCHEMA
    statement = "REVOKE gatecert_host FROM {}" if is_needed else "DROP ROLE IF EXISTS {}"
    owner.execute(sql.SQL(statement).format(sql.Identifier(role)))
