"""The schema is made by migrations, and by the SQL that they print."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import psycopg

from gatecert.store.postgres import session_checks
from gatecert.store.postgres.migration import migrate, migration_sql
from harness.postgres import OWNER, postgres_program

if TYPE_CHECKING:
    from harness.postgres import Postgres

    from .conftest import FleetDatabase


def schema(server: Postgres, database: str) -> str:
    """Return the definitions of a database; dumps are marked by a random key each."""
    where = ("--host", str(server.sockets), "--port", str(server.port), "--username", OWNER)
    finished = subprocess.run(
        [postgres_program("pg_dump"), *where, "--schema-only", database],
        check=True,
        text=True,
        capture_output=True,
    )
    return re.sub(r"^\\(un)?restrict .*$", "", finished.stdout, flags=re.MULTILINE)


def test_a_second_migration_changes_nothing(database: FleetDatabase) -> None:
    before = schema(database.server, database.name)
    database.execute("INSERT INTO gateway (cluster, name) VALUES ('hq', 'vpn')")
    migrate(lambda: database.server.owner(database.name, autocommit=False))
    assert schema(database.server, database.name) == before
    assert database.execute("SELECT count(*) FROM gateway") == [(1,)]


def test_the_printed_sql_makes_the_same_schema(
    database: FleetDatabase, shared_server: Postgres
) -> None:
    shared_server.execute("CREATE DATABASE printed")
    with shared_server.owner("printed") as owner:
        owner.execute(migration_sql().encode())
    assert schema(shared_server, "printed") == schema(shared_server, database.name)


def test_this_release_knows_the_newest_schema(database: FleetDatabase) -> None:
    ((number,),) = database.execute("SELECT version_num FROM alembic_version")
    assert int(str(number)) == session_checks.NEWEST_KNOWN
    assert database.execute("SELECT oldest_schema FROM fleet") == [(session_checks.OLDEST_USABLE,)]


def test_the_owner_needs_no_superuser(shared_server: Postgres) -> None:
    """A login that may create roles and owns the database is enough."""
    shared_server.execute(
        "CREATE ROLE keeper LOGIN CREATEROLE", "CREATE DATABASE kept OWNER keeper"
    )
    shared_server.execute("REVOKE ALL ON DATABASE kept FROM PUBLIC")
    migrate(
        lambda: psycopg.connect(
            host=str(shared_server.sockets),
            port=shared_server.port,
            dbname="kept",
            user="keeper",
        )
    )
    assert shared_server.execute(
        "SELECT tableowner FROM pg_tables WHERE schemaname = 'gatecert' GROUP BY 1", database="kept"
    ) == [("keeper",)]
