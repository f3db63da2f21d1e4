"""gatecert fleet join: a host brings what it has, and nothing of the cluster is replaced."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatecert.errors import StateError
from gatecert.model import EnrolmentState, Expenses, GatewayState, HostState, Limits
from gatecert.model.fleet import LONGEST_PERIOD
from gatecert.store.file_store import FileStore
from gatecert.store.postgres.fleet_store import FleetStore
from gatecert.store.postgres.joining import Joining

from .configured_host import GATEWAY, configured_host, failed, sealing_key
from .single_host import CA, NOW, ORDER, URL, SingleHost, account, chain, key_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.gatecert import Gatecert

    from .conftest import FleetDatabase

A, B = "hq-gw-a", "hq-gw-b"
HOUR = timedelta(hours=1)
SENT = "this host's certificate, which all share now as generation 1"
SENT_KEYS = "SELECT (SELECT count(*) FROM account) + (SELECT count(*) FROM version)"


@pytest.fixture
def open_store(database: FleetDatabase, tmp_path: Path) -> Iterator[Callable[..., FleetStore]]:
    stores: list[FleetStore] = []

    def open_store(role: str, directory: str = "other") -> FleetStore:
        place = replace(database.place(role), sealing_keys=(sealing_key(tmp_path, "seal"),))
        stores.append(FleetStore(tmp_path / directory, place, pause=0.0))
        return stores[-1]

    yield open_store
    for store in stores:
        store.database.close()


@pytest.fixture
def gatecert(database: FleetDatabase, tmp_path: Path) -> Gatecert:
    return configured_host(database, A, tmp_path)


@pytest.fixture
def host(gatecert: Gatecert) -> SingleHost:
    return SingleHost(gatecert.state_directory)


def joined(gatecert: Gatecert) -> list[str]:
    """Join; return what the command said of accounts, requests and gateways."""
    done = gatecert.run("fleet", "join")
    assert (done.exit_code, done.errors) == (0, "")
    first, *told, _ = done.output.splitlines()
    assert first.startswith("host gw-a of cluster hq: database fleet_")
    return told


def test_all_that_a_host_has_is_shared(
    gatecert: Gatecert, host: SingleHost, open_store: Callable[..., FleetStore]
) -> None:
    assert joined(gatecert) == [
        f"account {CA}: this host's, which all share now",
        "counted requests of the last days: 2 sent",
        f"gateway {GATEWAY}: {SENT}, with its open order",
    ]
    other = open_store(B)
    assert other.account(CA) == host.account
    assert other.next_key(CA) == host.next_key
    assert other.state(GATEWAY).enrolment == host.enrolment
    copied = other.copy_version(GATEWAY, now=NOW)
    assert copied is not None
    assert (copied.generation, other.issued(copied)) == (1, host.chain)
    (request,) = other.requests(GATEWAY)
    assert (request.id, request.private_key) == (host.request.id, host.request.private_key)
    assert request.generation == 2


@pytest.mark.parametrize(("age", "sent"), [(LONGEST_PERIOD - HOUR, 3), (LONGEST_PERIOD + HOUR, 2)])
def test_requests_are_sent_for_as_long_as_a_limit_may_count_them(
    gatecert: Gatecert, host: SingleHost, age: timedelta, sent: int
) -> None:
    earlier = replace(ORDER, at=NOW - age, id="earlier")
    host.files.take_over_requests(URL, [earlier])
    assert f"counted requests of the last days: {sent} sent" in joined(gatecert)


def test_what_was_sent_is_known_as_its_own(
    gatecert: Gatecert,
    host: SingleHost,
    database: FleetDatabase,
    open_store: Callable[..., FleetStore],
) -> None:
    """Neither is the certificate copied and deployed again, nor is the order there twice."""
    joined(gatecert)
    counted = database.execute("SELECT count(*), count(DISTINCT id) FROM expense")
    (version,) = host.files.versions(GATEWAY)
    host.files.number_version(version, 0)  # as if it had been killed before it noted that
    host.files.number_request(GATEWAY, host.request)
    assert joined(gatecert) == [
        f"account {CA}: this host's, which all share",
        "counted requests of the last days: 2 sent",
        f"gateway {GATEWAY}: this host's certificate, which all share as generation 1",
    ]
    assert database.execute("SELECT count(*), count(DISTINCT id) FROM expense") == counted
    own = open_store(A, A + "/state")
    assert own.copy_version(GATEWAY, now=NOW) is None
    assert [each.generation for each in own.versions(GATEWAY)] == [1]
    assert [each.id for each in own.requests(GATEWAY)] == [host.request.id]


@pytest.mark.usefixtures("host")
def test_nothing_of_the_cluster_is_replaced(
    gatecert: Gatecert, database: FleetDatabase, open_store: Callable[..., FleetStore]
) -> None:
    other, issued, shared = open_store(B), chain(), account()
    other.save_account(CA, shared)
    for number, obtained in enumerate((chain(), issued), 1):
        other.state(GATEWAY)
        with other.lease(GATEWAY) as lease:
            request = key_request(f"order-of-b-{number}")
            other.open_order(GATEWAY, request, URL, Expenses(NOW), Limits(), lease=lease)
            state = GatewayState(EnrolmentState(failures=number), HostState())
            other.save_state(GATEWAY, state)
            other.add_version(GATEWAY, obtained, now=NOW)
    assert joined(gatecert) == [
        f"account {CA}: that of the cluster",
        "counted requests of the last days: 2 sent",
        f"gateway {GATEWAY}: that of the cluster, generation 2",
    ]
    assert database.execute("SELECT generation FROM version") == [(2,)]
    assert other.account(CA) == shared
    assert other.state(GATEWAY).enrolment == EnrolmentState(failures=2)
    own = open_store(A, A + "/state")
    copied = own.copy_version(GATEWAY, now=NOW)
    assert copied is not None
    assert own.issued(copied) == issued
    assert len(own.versions(GATEWAY)) == 2


def test_a_certificate_is_sent_after_an_attempt_of_another_host_has_failed(
    gatecert: Gatecert, host: SingleHost, open_store: Callable[..., FleetStore]
) -> None:
    other = open_store(B)
    other.save_state(GATEWAY, GatewayState(EnrolmentState(failures=1)))
    assert joined(gatecert)[-1] == f"gateway {GATEWAY}: {SENT}, with its open order"
    assert other.state(GATEWAY).enrolment == host.enrolment
    copied = other.copy_version(GATEWAY, now=NOW)
    assert copied is not None
    assert (copied.generation, other.issued(copied)) == (1, host.chain)


def test_a_host_without_a_certificate_keeps_what_another_has_written(
    gatecert: Gatecert, open_store: Callable[..., FleetStore]
) -> None:
    other, own = open_store(B), FileStore(gatecert.state_directory)
    other.save_state(GATEWAY, GatewayState(EnrolmentState(failures=1)))
    own.save_state(GATEWAY, GatewayState(EnrolmentState(failures=2)))
    assert joined(gatecert)[-1] == f"gateway {GATEWAY}: nothing new"
    assert other.state(GATEWAY).enrolment == EnrolmentState(failures=1)


@pytest.mark.usefixtures("host")
def test_an_order_of_another_account_is_not_sent(
    gatecert: Gatecert, host: SingleHost, open_store: Callable[..., FleetStore]
) -> None:
    """The CA knows it as an order of the account that placed it."""
    other = open_store(B)
    other.save_account(CA, account())
    told = joined(gatecert)
    assert told[-1].endswith("which all share now as generation 1")
    assert other.requests(GATEWAY) == ()
    assert other.state(GATEWAY).enrolment == replace(host.enrolment, order=None)


def test_a_host_without_anything_joins(gatecert: Gatecert) -> None:
    assert joined(gatecert) == [
        f"account {CA}: none yet",
        "counted requests of the last days: 0 sent",
        f"gateway {GATEWAY}: nothing new",
    ]


def test_nothing_is_due_for_what_no_host_has_or_shares(
    gatecert: Gatecert, database: FleetDatabase
) -> None:
    for name in (GATEWAY, "manual", "removed"):
        database.execute(f"INSERT INTO gateway (cluster, name, due) VALUES ('hq', '{name}', now())")
    gatecert.add_gateway("manual", "manual.example.com", mode="custom").write()
    joined(gatecert)
    assert database.execute("SELECT name FROM gateway WHERE due IS NOT NULL") == [(GATEWAY,)]


@pytest.mark.usefixtures("host")
def test_a_daemon_reads_the_configuration_again(gatecert: Gatecert) -> None:
    fleet = gatecert.configuration.pop("fleet")
    with gatecert:
        gatecert.wait_logged("ready")
        gatecert.configuration["fleet"] = fleet
        done = gatecert.write().run("fleet", "join")
        assert (done.exit_code, done.errors) == (0, "")
        assert done.output.endswith("the running daemon reads the configuration again\n")
        gatecert.wait_logged("configuration reloaded")


@pytest.mark.usefixtures("host")
def test_a_name_that_another_host_uses_is_refused(
    gatecert: Gatecert, database: FleetDatabase
) -> None:
    database.execute("UPDATE host SET seen = clock_timestamp() WHERE name = 'gw-a'")
    error = failed(gatecert.run("fleet", "join"))
    assert "a daemon was in the fleet as host gw-a of cluster hq" in error
    assert database.execute(SENT_KEYS) == [(0,)]


@pytest.mark.usefixtures("host")
def test_a_host_that_cannot_open_what_is_there_sends_nothing(
    database: FleetDatabase, open_store: Callable[..., FleetStore], tmp_path: Path
) -> None:
    open_store(B).save_account("other-ca", account())
    gatecert = configured_host(database, A, tmp_path, ("other-seal",))
    error = failed(gatecert.run("fleet", "join"))
    assert "the key of the account at other-ca is sealed with a key that this host" in error
    assert database.execute(SENT_KEYS) == [(1,)]


@pytest.mark.parametrize(("ahead", "told"), [(1, "1 day ahead of"), (-1, "1 day behind")])
def test_a_clock_that_is_a_day_off_is_noticed(
    open_store: Callable[..., FleetStore], ahead: int, told: str
) -> None:
    joining = Joining(open_store(A))
    wrong = datetime.now(UTC) + timedelta(days=ahead, minutes=ahead)
    with pytest.raises(StateError, match=f"the clock of this host is {told} that of the fleet's"):
        joining.check([], now=wrong, daemon_runs=False)


def test_without_a_place_in_the_fleet_it_says_so(
    gatecert: Gatecert, database: FleetDatabase
) -> None:
    fleet = gatecert.configuration["fleet"]
    fleet["host"] = "gw-x"
    assert "is host gw-a of cluster hq, not gw-x" in failed(gatecert.write().run("fleet", "join"))
    login = database.server.login("stranger", database.name)
    fleet["database"] |= {"certificate": str(login.certificate), "key": str(login.key)}
    assert "has no login stranger" in failed(gatecert.write().run("fleet", "join"))
    del gatecert.configuration["fleet"]
    assert "the configuration has no fleet" in failed(gatecert.write().run("fleet", "join"), 2)
