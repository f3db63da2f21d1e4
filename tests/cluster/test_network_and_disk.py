"""A cut network and a full disk, which only root can make, in a user namespace at least."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from gatecert.errors import CommitUnknownError, DatabaseAwayError
from harness.network import PrivateNetwork
from harness.postgres import Postgres, give, make_directory
from harness.process import program
from harness.waiting import wait_until

from .conftest import HOSTS, TEMPLATE, FleetDatabase, fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.postgres import DatabaseCertificates, EmptyCluster

    from .conftest import OpenDatabase


@pytest.fixture
def fleet(
    servers: ExitStack,
    tmp_path: Path,
    certificates: DatabaseCertificates,
    empty_cluster: EmptyCluster,
) -> FleetDatabase:
    """A server in a network of its own, which this thread has entered."""
    servers.enter_context(PrivateNetwork(tmp_path / "network"))
    directory = make_directory()
    servers.callback(shutil.rmtree, directory)
    server = Postgres(directory, certificates).copy(empty_cluster)
    servers.enter_context(server)
    fill(server, TEMPLATE)
    return FleetDatabase(server, TEMPLATE, {role: server.login(role, TEMPLATE) for role in HOSTS})


@contextmanager
def cut() -> Iterator[None]:
    """Cut the network; its packets vanish."""
    _set("down")
    try:
        yield
    finally:
        _set("up")


def _set(state: str) -> None:
    run("ip", "link", "set", "lo", state)


def test_a_commit_into_a_cut_network_is_unknown(
    fleet: FleetDatabase, open_database: OpenDatabase
) -> None:
    database = open_database(fleet)
    with database.transaction() as connection:
        connection.execute("INSERT INTO gateway (name) VALUES ('vpn')")
    begin = time.monotonic()
    with ExitStack() as later:
        with pytest.raises(CommitUnknownError), database.transaction() as connection:
            connection.execute("UPDATE gateway SET generation = 1")
            later.enter_context(cut())
        assert time.monotonic() - begin < 5
        # The server keeps the row locked until it misses the host: so long the commit may arrive.
        assert not is_unlocked(fleet)
        wait_until(lambda: is_unlocked(fleet), "the server to give up", seconds=8)
    with database.transaction() as connection:
        row = connection.execute("SELECT generation FROM gateway FOR UPDATE").fetchone()
    assert row == (0,)


def is_unlocked(fleet: FleetDatabase) -> bool:
    return bool(fleet.execute("SELECT name FROM gateway FOR UPDATE SKIP LOCKED"))


def test_a_cut_network_is_a_database_that_is_away(
    fleet: FleetDatabase, open_database: OpenDatabase
) -> None:
    database = open_database(fleet)
    with database.transaction():
        pass
    begin = time.monotonic()
    with cut(), pytest.raises(DatabaseAwayError), database.transaction():
        pass
    assert time.monotonic() - begin < 8
    with database.transaction() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def disk_of(database: FleetDatabase) -> Path:
    return database.server.sockets / f"disk-{database.name}"


def run(name: str, *arguments: str) -> None:
    subprocess.run([program(name), *arguments], check=True)


@pytest.fixture
def small_disk(database: FleetDatabase, servers: ExitStack) -> FleetDatabase:
    """A database whose gateways are on a disk of 2 MB."""
    place = disk_of(database)
    place.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=2m", "small", str(place))
    servers.callback(run, "umount", "--lazy", str(place))
    give(place)
    database.server.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
    servers.callback(database.server.execute, "DROP TABLESPACE small")
    database.execute("ALTER TABLE gateway SET TABLESPACE small")
    servers.callback(database.execute, "DROP TABLE gateway CASCADE")
    return database


def test_a_full_disk_is_said_and_passes(
    small_disk: FleetDatabase, open_database: OpenDatabase
) -> None:
    database = open_database(small_disk)
    with (
        pytest.raises(DatabaseAwayError, match=r"the disk of the fleet's database .* is full"),
        database.transaction() as connection,
    ):
        connection.execute(
            "INSERT INTO gateway (name, enrolment) SELECT 'vpn-' || number, "
            "jsonb_build_object('text', repeat('full', 100)) FROM generate_series(1, 99999) number"
        )
    assert small_disk.execute("SELECT count(*) FROM gateway") == [(0,)]
    run("mount", "-o", "remount,size=64m", str(disk_of(small_disk)))
    with database.transaction() as connection:
        connection.execute("INSERT INTO gateway (name) VALUES ('vpn')")
