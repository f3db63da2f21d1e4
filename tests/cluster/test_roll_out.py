"""Reports of the hosts of a cluster on a new generation, and the brake of the fleet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest

from gatecert.model import DeploymentOutcome, HostReport, RollOut
from gatecert.model.fleet import FleetHalt
from gatecert.store.postgres import deployment_rows, halt_rows
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import FleetDatabase

A, B, OTHER = "hq-gw-a", "hq-gw-b", "lab-gw-a"
PROVEN, ROLLED_BACK = DeploymentOutcome.PROVEN, DeploymentOutcome.ROLLED_BACK
PENDING, FAILED = DeploymentOutcome.PENDING, DeploymentOutcome.FAILED


@pytest.fixture
def hosts(database: FleetDatabase) -> Iterator[dict[str, psycopg.Connection]]:
    """Connections of the three hosts; gateway vpn has generation 2."""
    database.execute(
        "INSERT INTO gateway (cluster, name, generation) VALUES ('hq', 'vpn', 2)",
        "INSERT INTO version (cluster, gateway, generation, fingerprint, not_after, host, "
        "certificate, sealed_key) VALUES ('hq', 'vpn', 2, 'f', now(), 'gw-a', 'c', 'k')",
    )
    connections = {role: database.connect(role) for role in (A, B, OTHER)}
    yield connections
    for connection in connections.values():
        connection.close()


def told(connection: psycopg.Connection) -> HostReport:
    """Return what the only other host of the cluster has reported of generation 2."""
    found = deployment_rows.roll_out(connection, "vpn", 2, 1)
    assert isinstance(found, RollOut)
    (report,) = found.others
    return report


def report(
    connection: psycopg.Connection, outcome: DeploymentOutcome, generation: int = 2, why: str = ""
) -> None:
    deployment_rows.write(connection, "vpn", generation, outcome, why)


def halt(database: FleetDatabase) -> FleetHalt:
    with database.server.owner(database.name) as owner:
        owner.execute("SET search_path = gatecert")
        return halt_rows.read(owner)


def resume(database: FleetDatabase) -> None:
    with database.server.owner(database.name) as owner:
        owner.execute("SET search_path = gatecert")
        halt_rows.resume(owner)


# ------------------------------------------------------------------ rings


def test_a_host_sees_how_the_others_of_its_cluster_fare(
    hosts: dict[str, psycopg.Connection],
) -> None:
    assert told(hosts[A]) == HostReport("gw-b", ring=1, is_live=False, is_passed=False)
    deployment_rows.enter_ring(hosts[B], 3)
    report(hosts[B], PROVEN, generation=1)
    assert told(hosts[A]) == HostReport("gw-b", ring=3, is_live=False, is_passed=False)
    report(hosts[B], PENDING)
    assert not told(hosts[A]).is_passed
    report(hosts[B], PROVEN)
    assert told(hosts[A]).is_passed
    assert told(hosts[B]) == HostReport("gw-a", ring=1, is_live=False, is_passed=False)
    assert deployment_rows.roll_out(hosts[OTHER], "vpn", 2, 1) is None
    assert deployment_rows.roll_out(hosts[A], "vpn", 3, 1) is None


@pytest.mark.parametrize(("seconds", "is_live"), [(0, True), (110, True), (121, False)])
def test_a_host_is_live_until_two_minutes_after_its_last_sign_of_life(
    database: FleetDatabase,
    hosts: dict[str, psycopg.Connection],
    seconds: int,
    is_live: bool,  # noqa: FBT001
) -> None:
    database.execute(f"UPDATE host SET seen = clock_timestamp() - interval '{seconds} s'")
    assert told(hosts[A]).is_live is is_live


def test_a_roll_back_is_told_until_the_operator_resumes(
    database: FleetDatabase, hosts: dict[str, psycopg.Connection]
) -> None:
    report(hosts[B], ROLLED_BACK, generation=1, why="of before")
    assert told(hosts[A]).roll_back == ""
    report(hosts[B], ROLLED_BACK, why="nginx refuses it")
    assert told(hosts[A]).roll_back == "nginx refuses it"
    report(hosts[B], PENDING, why="the brake is on")
    assert told(hosts[A]).roll_back == "nginx refuses it"

    assert not told(hosts[A]).is_passed

    resume(database)
    assert told(hosts[A]) == HostReport("gw-b", ring=1, is_live=False, is_passed=True)
    report(hosts[B], ROLLED_BACK, why="nginx refuses it, tried again")
    assert told(hosts[A]).roll_back == ""  # it is the same one

    report(hosts[B], PROVEN)
    report(hosts[B], ROLLED_BACK, why="later")
    assert not told(hosts[A]).is_passed
    assert told(hosts[A]).roll_back == "later"


# ------------------------------------------------------------------ the brake


def deploy(database: FleetDatabase, count: int, outcome: DeploymentOutcome) -> None:
    """Have host gw-a of cluster lab report a deployment of as many gateways more."""
    database.execute(
        "INSERT INTO gateway (cluster, name) SELECT 'lab', 'site' || n FROM generate_series("
        f"(SELECT count(*) FROM gateway), (SELECT count(*) FROM gateway) + {count - 1}) AS n"
    )
    with database.connect(OTHER) as host:
        host.execute(
            "INSERT INTO deployment (gateway, generation, outcome) SELECT name, 1, %s FROM gateway "
            "WHERE NOT EXISTS (SELECT FROM deployment WHERE gateway = gateway.name)",
            [outcome],
        )


@pytest.mark.parametrize(
    ("others", "rolled_back", "is_on"),
    [
        (0, 2, False),
        (0, 3, True),
        (57, 3, True),
        (58, 3, False),
        (190, 10, True),
        (191, 10, False),
    ],
)
def test_a_twentieth_of_the_deployments_and_at_least_three_put_the_brake_on(
    database: FleetDatabase,
    others: int,
    rolled_back: int,
    is_on: bool,  # noqa: FBT001
) -> None:
    for outcome in (PROVEN, FAILED):
        if others:
            deploy(database, others // 2 + (others % 2 if outcome is PROVEN else 0), outcome)
    deploy(database, 40, PENDING)  # which have not been tried
    deploy(database, rolled_back, ROLLED_BACK)
    found = halt(database)
    assert (found.brake_since is not None) is is_on
    if is_on:
        total = others + rolled_back
        assert found.brake_reason.startswith(
            f"{rolled_back} of {total} deployments of an hour were rolled back, the last one of"
        )


def test_what_is_older_than_an_hour_does_not_count(database: FleetDatabase) -> None:
    deploy(database, 2, ROLLED_BACK)
    database.execute("UPDATE deployment SET at = at - interval '61 minutes'")
    deploy(database, 1, ROLLED_BACK)
    assert halt(database) == FleetHalt()


def test_the_operator_takes_the_brake_off_for_what_comes_next(
    database: FleetDatabase, hosts: dict[str, psycopg.Connection]
) -> None:
    deploy(database, 3, ROLLED_BACK)
    before = halt(database)
    assert before.brake_since is not None
    deploy(database, 1, ROLLED_BACK)
    assert halt(database) == before  # since when, and why, stay

    resume(database)
    assert halt(database) == FleetHalt()
    report(hosts[B], ROLLED_BACK)
    assert halt(database) == FleetHalt()
    deploy(database, 2, ROLLED_BACK)
    assert halt(database).brake_since is not None


def test_of_hosts_that_report_at_once_each_counts_the_others(
    database: FleetDatabase, hosts: dict[str, psycopg.Connection]
) -> None:
    deploy(database, 1, ROLLED_BACK)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with ThreadPoolExecutor(1) as threads:
        with hosts[A].transaction():
            report(hosts[A], ROLLED_BACK)
            other = threads.submit(report, hosts[B], ROLLED_BACK)
            wait_until(lambda: database.execute(waiting) == [(1,)], "what it has to count")
        other.result(60)
    assert halt(database).brake_since is not None


@pytest.mark.parametrize("column", ["brake_since", "brake_reason", "paused_since", "resumed"])
def test_a_host_takes_no_brake_off(hosts: dict[str, psycopg.Connection], column: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
        hosts[A].execute(f"UPDATE fleet SET {column} = NULL".encode())
