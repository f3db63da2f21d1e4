"""A fleet's database on real PostgreSQL servers."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
import pytest

from gatecert.model.fleet import DatabaseLogin, FleetHost
from gatecert.store.postgres.database import Database
from gatecert.store.postgres.membership import add_cluster, add_host
from gatecert.store.postgres.migration import migrate
from harness.postgres import (
    HOST,
    DatabaseCertificates,
    EmptyCluster,
    Postgres,
    make_directory,
)
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


TEMPLATE = "migrated"
HOSTS = {  # the role of each host, and its cluster and name
    "hq-gw-a": ("hq", "gw-a"),
    "hq-gw-b": ("hq", "gw-b"),
    "lab-gw-a": ("lab", "gw-a"),
}

numbers = count(1)
TALLY = "history"  # a property of tests, so that it comes from other processes as well


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-histories", action="store_true", help="every fault at every point")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: only with --all-histories")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--all-histories", default=False):
        dropped = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in dropped]
        config.hook.pytest_deselected(items=dropped)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.stats.get("passed", [])
    lines = [
        f"{report.nodeid.partition('::')[2]}: {line}"
        for report in sorted(reports, key=lambda each: str(each.nodeid))
        for name, line in report.user_properties
        if name == TALLY
    ]
    if lines:
        terminalreporter.section(f"{len(lines)} histories, each with a fault")
        for line in lines:
            terminalreporter.write_line(line)


def parameters(login: DatabaseLogin) -> dict[str, Any]:
    """Return the parameters of libpq for a login to its first server."""
    host, port = login.hosts[0]
    return {
        "host": host,
        "port": port,
        "dbname": login.name,
        "user": login.user,
        "sslmode": "verify-full",
        "sslcert": str(login.certificate),
        "sslkey": str(login.key),
        "sslrootcert": str(login.ca_bundle),
    }


@dataclass(frozen=True, slots=True)
class FleetDatabase:
    """A database with the newest schema, in which two hosts of one cluster and one of another are.

    Attributes:
        server: Its server.
        name: Its name.
        logins: Of the hosts, by role.
    """

    server: Postgres
    name: str
    logins: dict[str, DatabaseLogin]

    def place(self, role: str, login: DatabaseLogin | None = None) -> FleetHost:
        """Return a host's place in the fleet.

        Args:
            role: One of `HOSTS`.
            login: In place of its own.
        """
        cluster, host = HOSTS[role]
        return FleetHost(
            database=login or self.logins[role],
            cluster=cluster,
            host=host,
            ring=1,
            sealing_keys=(),
            reserve=0,
        )

    def connect(self, role: str) -> psycopg.Connection:
        """Log in as a role without gatecert; with autocommit and the search path of the schema."""
        connection = psycopg.connect(**parameters(self.logins[role]), autocommit=True)
        connection.execute("SET search_path = gatecert")
        return connection

    def execute(self, *statements: str) -> list[tuple[object, ...]]:
        """Run statements as the owner; return the rows of the last one."""
        return self.server.execute("SET search_path = gatecert", *statements, database=self.name)


def fill(server: Postgres, name: str) -> None:
    """Create a database with the newest schema and the hosts."""
    server.execute(f"CREATE DATABASE {name}")
    migrate(lambda: server.owner(name, autocommit=False))
    with server.owner(name) as owner:
        for role, (cluster, host) in HOSTS.items():
            add_cluster(owner, cluster)
            add_host(owner, cluster, host, role)


@pytest.fixture(scope="session")
def servers_directory() -> Iterator[Path]:
    directory = make_directory()
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> DatabaseCertificates:
    return DatabaseCertificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def empty_cluster(servers_directory: Path) -> EmptyCluster:
    return EmptyCluster.make(servers_directory)


@pytest.fixture(scope="session")
def shared_server(
    servers_directory: Path, certificates: DatabaseCertificates, empty_cluster: EmptyCluster
) -> Iterator[Postgres]:
    """A server for all tests that do it no harm."""
    with Postgres(servers_directory, certificates, name="shared").copy(empty_cluster) as server:
        fill(server, TEMPLATE)
        yield server


@pytest.fixture
def new_database(shared_server: Postgres) -> Callable[[], FleetDatabase]:
    """Make a database of the test's own, as `FleetDatabase` says."""

    def new_database() -> FleetDatabase:
        name = f"fleet_{next(numbers)}"
        shared_server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        logins = {role: shared_server.login(role, name) for role in HOSTS}
        return FleetDatabase(shared_server, name, logins)

    return new_database


@pytest.fixture
def database(new_database: Callable[[], FleetDatabase]) -> FleetDatabase:
    """A database of the test's own, as `FleetDatabase` says."""
    return new_database()


@dataclass(frozen=True, slots=True)
class Pair:
    """A primary and its synchronous standby, with the database of a fleet.

    Attributes:
        fleet: The database on the primary; each login names both servers.
    """

    primary: Postgres
    standby: Postgres
    fleet: FleetDatabase

    def wait_for_standby(self) -> None:
        """Wait until every COMMIT waits for the standby."""
        wait_until(
            lambda: (
                self.primary.execute("SELECT sync_state FROM pg_stat_replication") == [("sync",)]
            ),
            "the synchronous standby",
            seconds=30,
        )


@pytest.fixture
def pair(
    servers: ExitStack, certificates: DatabaseCertificates, empty_cluster: EmptyCluster
) -> Pair:
    directory = make_directory()
    servers.callback(shutil.rmtree, directory)
    primary = Postgres(directory, certificates, name="primary").copy(empty_cluster)
    servers.enter_context(primary)
    fill(primary, TEMPLATE)
    standby = Postgres(directory, certificates, name="standby").follow(primary)
    servers.enter_context(standby)
    primary.configure(synchronous_standby_names="standby")
    primary.reload()
    logins = {
        role: replace(
            primary.login(role, TEMPLATE), hosts=((HOST, primary.port), (HOST, standby.port))
        )
        for role in HOSTS
    }
    both = Pair(primary, standby, FleetDatabase(primary, TEMPLATE, logins))
    both.wait_for_standby()
    return both


class OpenDatabase(Protocol):
    """A function that makes the database of a host, which is closed when the test ends."""

    def __call__(
        self,
        fleet: FleetDatabase,
        login: DatabaseLogin | None = None,
        *,
        after_connect: Callable[[psycopg.Connection], None] | None = None,
    ) -> Database: ...


@pytest.fixture
def open_database(servers: ExitStack) -> OpenDatabase:
    """Make the database of host gw-a of cluster hq, which tries to connect each time."""

    def make(
        fleet: FleetDatabase,
        login: DatabaseLogin | None = None,
        *,
        after_connect: Callable[[psycopg.Connection], None] | None = None,
    ) -> Database:
        place = fleet.place("hq-gw-a", login)
        database = Database(place, after_connect=after_connect, pause=0)
        servers.callback(database.close)
        return database

    return make


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Stop the servers that are entered here when the test ends."""
    with ExitStack() as running:
        yield running
