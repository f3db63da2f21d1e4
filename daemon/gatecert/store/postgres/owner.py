"""The owner of the fleet's database, who migrates its schema, keeps its hosts and halts them.

The owner logs in as psql does: by the socket, a client certificate or ``~/.pgpass``. No daemon has
this login, and the configuration does not contain it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.exc import DBAPIError

from gatecert.errors import DatabaseError, SchemaUnknownError, WrongUsageError
from gatecert.model.fleet import SILENT_AFTER
from gatecert.store.postgres import (
    halt_rows,
    membership,
    migration,
    overview_rows,
    owner_errors,
)
from gatecert.store.postgres.session_checks import NEWEST_KNOWN, OLDEST_USABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gatecert.model import Limits
    from gatecert.model.fleet import FleetHalt
    from gatecert.model.fleet_overview import FleetOverview

OLDEST_SERVER: Final = 14
LONGEST_ROLE: Final = 63  # bytes; PostgreSQL cuts longer names, and no certificate has the rest
PREDEFINED: Final = ("pg_", "gatecert_")  # beginnings of roles that are no login
LOCK: Final = 0x67617465  # advisory, while one owner migrates
DEFAULTS: Final = {
    "application_name": "gatecert fleet",
    "connect_timeout": "3",  # seconds
    "options": "-c lock_timeout=10s",  # nobody waits long for the daemons that use the tables
    "sslmode": "verify-full",
    "sslrootcert": "system",
    "target_session_attrs": "read-write",
}
EXAMPLE: Final = "postgresql://owner@db1.example.com/gatecert"


@dataclass(frozen=True, slots=True)
class NewHost:
    """A host to add.

    Attributes:
        name: Its name in the cluster.
        role: Common name of its client certificate.
        ring: New certificates go to the hosts of ring 1 first.
    """

    name: str
    role: str
    ring: int = 1


class Owner:
    """The owner's login.

    Args:
        written: URL or parameters of libpq; empty to take ``usual``.
        usual: Parameters of libpq.

    Raises:
        WrongUsageError: They are no parameters, contain a password, or name no database.

    Attributes:
        database: The name of the database.
    """

    def __init__(self, written: str, usual: Mapping[str, str]) -> None:
        try:
            given = conninfo_to_dict(written) if written else dict(usual)
        except psycopg.ProgrammingError:
            raise WrongUsageError(
                "--database is not a URL of PostgreSQL", fix=f"write one like {EXAMPLE}"
            ) from None  # the cause could quote a password
        if given.keys() & {"password", "sslpassword"}:
            raise WrongUsageError(
                "every user of this host can read a password on the command line",
                fix="leave it out of --database: that of a role belongs into ~/.pgpass, and that of"
                " an encrypted key is asked for",
            )
        self.database = str(given.get("dbname") or "")
        if not self.database:
            raise WrongUsageError(
                "--database names no database of the server", fix=f"write it as in {EXAMPLE}"
            )
        self._parameters = {**DEFAULTS, **given}

    def migrate(self) -> tuple[int, int]:
        """Bring the schema up to date; return its number before (0 for none) and after.

        Raises:
            SchemaUnknownError: It is newer than this gatecert.
            DatabaseError: The owner cannot log in, or may not.
        """
        with self._session() as session:
            session.execute("SELECT pg_catalog.pg_advisory_lock(%s)", [LOCK])
            before = _schema(session)
            if before > NEWEST_KNOWN:
                raise SchemaUnknownError(
                    f"the schema is number {before}, and this gatecert knows only {NEWEST_KNOWN}: "
                    "nothing was changed",
                    fix="run gatecert fleet migrate of the newest release in the fleet",
                )
            migration.migrate(self._connect)
            return before, _schema(session)

    def add_hosts(self, cluster: str, hosts: Sequence[NewHost]) -> list[str]:
        """Add a cluster and hosts to it; what is there already is changed or kept.

        Returns:
            The role that each host had before, and that was removed; empty if none was.

        Raises:
            WrongUsageError: A role cannot be that of this host.
            DatabaseError: The owner cannot log in, or may not.
        """
        with self._session() as session, session.transaction():
            membership.add_cluster(session, cluster)
            former = []
            for host in hosts:
                _check_role(session, cluster, host)
                former.append(
                    membership.add_host(session, cluster, host.name, host.role, ring=host.ring)
                )
            return former

    def overview(self, limits: Mapping[str, Limits]) -> FleetOverview:
        """Return the overview of the whole fleet, for which the login of an observer is enough.

        Args:
            limits: As for `overview_rows.read`.

        Raises:
            SchemaUnknownError: There is no schema, or a newer one.
            DatabaseError: The login is refused, or may not read.
        """
        with self._schema_session() as session:
            where = session.info.host
            server = "this host" if where.startswith("/") else f"{where}:{session.info.port}"
            return overview_rows.read(session, server, limits)

    def remove_hosts(self, cluster: str, hosts: Sequence[str]) -> int:
        """Remove hosts and their roles; what they counted and ordered stays.

        Returns:
            How many hosts the cluster still has.

        Raises:
            WrongUsageError: There is no such cluster or host, or one still runs.
            DatabaseError: The owner cannot log in, or may not.
        """
        with self._schema_session() as session:
            for host in hosts:
                _check_gone(session, cluster, host)
            for host in hosts:
                membership.remove_host(session, cluster, host)
            left = session.execute("SELECT FROM host WHERE cluster = %s", [cluster])
            return left.rowcount

    def pause(self, reason: str) -> FleetHalt:
        """Pause the whole fleet; return how it is halted.

        Args:
            reason: One line, for those who see that it is paused; may be empty.

        Raises:
            DatabaseError: The owner cannot log in, or may not.
        """
        with self._schema_session() as session:
            return halt_rows.pause(session, reason)

    def resume(self) -> FleetHalt:
        """Let the whole fleet go on; return how it was halted.

        Raises:
            DatabaseError: The owner cannot log in, or may not.
        """
        with self._schema_session() as session:
            return halt_rows.resume(session)

    @contextmanager
    def _schema_session(self) -> Iterator[psycopg.Connection]:
        """Log in, and begin a transaction in the schema.

        Raises:
            SchemaUnknownError: There is none, or a newer one.
        """
        with self._session() as session, session.transaction():
            known = _schema(session)
            if not OLDEST_USABLE <= known <= NEWEST_KNOWN:
                raise SchemaUnknownError(
                    f"the database has schema {known or 'none'}, and this gatecert knows "
                    f"{OLDEST_USABLE} to {NEWEST_KNOWN}",
                    fix="name the fleet's database by --database, or run gatecert fleet migrate",
                )
            session.execute("SET LOCAL search_path = gatecert, pg_temp")
            session.execute("SET LOCAL timezone = 'UTC'")
            yield session

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(**self._parameters)  # type: ignore[arg-type] # all are text

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection]:
        """Log in; errors of the login and of what follows are those of the operator."""
        try:
            connection = self._connect()
        except psycopg.Error as error:
            raise owner_errors.refused(error, str(self._parameters.get("host") or "")) from error
        with connection:
            connection.autocommit = True
            version = connection.info.server_version // 10_000
            if version < OLDEST_SERVER:
                raise DatabaseError(
                    f"the server is PostgreSQL {version}: nothing was changed",
                    fix=f"use PostgreSQL {OLDEST_SERVER} or newer",
                )
            try:
                yield connection
            except DBAPIError as error:
                raise owner_errors.failed(error.orig, connection.info.user) from error
            except psycopg.Error as error:
                raise owner_errors.failed(error, connection.info.user) from error


def _schema(session: psycopg.Connection) -> int:
    """Return the number of the schema; 0 if there is none."""
    known = session.execute("SELECT to_regclass('gatecert.alembic_version') IS NOT NULL").fetchone()
    if known != (True,):
        return 0
    row = session.execute("SELECT version_num FROM gatecert.alembic_version").fetchone()
    return int(row[0]) if row is not None else 0


def _check_role(session: psycopg.Connection, cluster: str, host: NewHost) -> None:
    """Check that a role is a host's own and free, and that row-level security applies to it.

    Raises:
        WrongUsageError: It is not, or does not.
    """
    other = f"give {host.name} a certificate with another common name: {host.name}=ROLE"
    if len(host.role.encode()) > LONGEST_ROLE or host.role.startswith(PREDEFINED):
        raise WrongUsageError(
            f"{host.role} cannot be the role of a host: use up to {LONGEST_ROLE} bytes, and not "
            "pg_ or gatecert_ first",
            fix=other,
        )
    taken = session.execute(
        "SELECT cluster, name FROM gatecert.host WHERE login = %s AND (cluster, name) <> (%s, %s)",
        [host.role, cluster, host.name],
    ).fetchone()
    if taken is not None:
        raise WrongUsageError(
            f"the role {host.role} is already host {taken[1]} of cluster {taken[0]}",
            fix=other,
        )
    mighty = session.execute(
        "SELECT rolsuper OR rolbypassrls OR rolname = session_user FROM pg_catalog.pg_roles "
        "WHERE rolname = %s",
        [host.role],
    ).fetchone()
    if mighty == (True,):
        raise WrongUsageError(
            f"the role {host.role} may do more than a host: it would see and change all clusters",
            fix=f"give {host.name} a role of its own: {host.name}=ROLE",
        )


def _check_gone(session: psycopg.Connection, cluster: str, host: str) -> None:
    """Check that a host exists, and runs no more.

    Raises:
        WrongUsageError: It does not, or does.
    """
    rows = session.execute(
        "SELECT host.name, seen > clock_timestamp() - %s FROM cluster"
        " LEFT JOIN host ON host.cluster = cluster.name WHERE cluster.name = %s ORDER BY 1",
        [SILENT_AFTER, cluster],
    ).fetchall()
    if not rows:
        clusters = session.execute("SELECT name FROM cluster ORDER BY 1").fetchall()
        raise WrongUsageError(
            f"the fleet has no cluster {cluster}", fix=f"name one of: {_listed(clusters)}"
        )
    seen: dict[str | None, bool | None] = dict(rows)
    if host not in seen:
        raise WrongUsageError(
            f"cluster {cluster} has no host {host}",
            fix=f"name one of: {_listed(each for each in rows if each[0] is not None)}",
        )
    if seen[host]:
        raise WrongUsageError(
            f"host {host} of cluster {cluster} still runs: nothing was changed",
            fix=f"run gatecert fleet leave on {host}, or stop its daemon and wait for two minutes",
        )


def _listed(rows: Iterable[Sequence[object]]) -> str:
    return ", ".join(str(row[0]) for row in rows) or "none"
