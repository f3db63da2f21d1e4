"""gatecert fleet leave: on a host, and with the login of the owner."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatecert.model import Expenses, GatewayState, Limits, TextRecord
from gatecert.store.file_store import FileStore
from gatecert.store.postgres.fleet_store import FleetStore
from gatecert.store.postgres.membership import add_cluster, add_host
from harness.gatecert import Gatecert
from harness.postgres import OWNER

from .configured_host import GATEWAY, configured_host, failed, sealing_key
from .single_host import CA, NOW, URL, SingleHost, chain, key_request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.gatecert import CommandResult

    from .conftest import FleetDatabase

A, B = "hq-gw-a", "hq-gw-b"
ROLE = "hq-gw-removed"
OPEN = "SELECT count(*) FROM intent WHERE closed IS NULL"
DUE = "SELECT count(*) FROM gateway WHERE due IS NOT NULL"


@pytest.fixture
def gatecert(database: FleetDatabase, tmp_path: Path) -> Gatecert:
    """A host that has joined with all that it had."""
    made = configured_host(database, A, tmp_path)
    SingleHost(made.state_directory)
    assert made.run("fleet", "join").exit_code == 0
    return made


@pytest.fixture
def owner(database: FleetDatabase, tmp_path: Path) -> Callable[..., CommandResult]:
    """Run ``gatecert fleet leave`` with the login of the owner, or another one."""
    where = f"host={database.server.sockets}&port={database.server.port}"
    command = Gatecert(tmp_path / "owner")

    def leave(*hosts: str, cluster: str = "hq", user: str = OWNER) -> CommandResult:
        login = f"postgresql://{user}@/{database.name}?{where}"
        return command.run("fleet", "leave", "--database", login, "--cluster", cluster, *hosts)

    return leave


def left(gatecert: Gatecert) -> list[str]:
    done = gatecert.run("fleet", "leave")
    assert (done.exit_code, done.errors) == (0, "")
    return done.output.splitlines()


def set_live(database: FleetDatabase, host: str) -> None:
    database.execute(f"UPDATE host SET seen = clock_timestamp() WHERE login = 'hq-{host}'")


def test_the_last_host_takes_everything_along(gatecert: Gatecert, database: FleetDatabase) -> None:
    database.execute("DELETE FROM host WHERE login = 'hq-gw-b'", "UPDATE gateway SET due = now()")
    before = FileStore(gatecert.state_directory)
    state, (request,) = before.state(GATEWAY), before.requests(GATEWAY)

    told = left(gatecert)
    left(gatecert)

    assert f"gateway {GATEWAY}: exported, generation 1, with its open order" in told
    assert "host gw-a has left cluster hq; other hosts: none, it was the last one" in told
    after = FileStore(gatecert.state_directory)
    assert after.state(GATEWAY) == state
    assert [(each.id, each.private_key) for each in after.requests(GATEWAY)] == [
        (request.id, request.private_key)
    ]
    assert database.execute(OPEN) == [(0,)]
    assert database.execute(DUE) == [(0,)]


def test_open_orders_are_left_to_the_others(gatecert: Gatecert, database: FleetDatabase) -> None:
    set_live(database, "gw-b")
    database.execute("UPDATE gateway SET due = now()")
    told = left(gatecert)
    assert "host gw-a has left cluster hq; other hosts: gw-b" in told
    assert database.execute(DUE) == [(1,)]
    files = FileStore(gatecert.state_directory)
    assert files.requests(GATEWAY) == ()
    assert files.state(GATEWAY).enrolment.order is None
    assert files.account(CA) is not None
    assert database.execute(OPEN) == [(1,)]


def test_an_order_that_nobody_would_finish_keeps_the_host(
    gatecert: Gatecert, database: FleetDatabase
) -> None:
    error = failed(gatecert.run("fleet", "leave"))
    assert f"an order of gateway {GATEWAY} is open, and no other host of the cluster runs" in error
    assert database.execute(OPEN) == [(1,)]
    assert len(FileStore(gatecert.state_directory).requests(GATEWAY)) == 1


def test_what_only_this_host_stands_for_is_withdrawn(
    gatecert: Gatecert, database: FleetDatabase, tmp_path: Path
) -> None:
    place = replace(database.place(A), sealing_keys=(sealing_key(tmp_path, "seal"),))
    store = FleetStore(gatecert.state_directory, place, pause=0.0)
    with closing(store.database):
        store.put_token("http-01", "token", "token.key")
        store.add_record(TextRecord("_acme-challenge.vpn", "value", "example.com"), now=NOW)
    set_live(database, "gw-a")
    set_live(database, "gw-b")
    database.execute(
        "UPDATE gateway SET lease = gen_random_uuid(), lease_host = 'gw-a', "
        "lease_until = clock_timestamp() + interval '1 hour'"
    )
    told = left(gatecert)
    assert "1 TXT records could not be withdrawn yet; the daemon tries again" in told
    assert database.execute("SELECT lease_host, lease_until FROM gateway") == [(None, None)]
    assert database.execute("SELECT token FROM token") == []
    signed = "SELECT seen IS NULL, life IS NULL FROM host WHERE (cluster, name) = ('hq', 'gw-a')"
    assert database.execute(signed) == [(True, True)]


def test_its_files_belong_to_no_generation_of_another_cluster(
    gatecert: Gatecert, database: FleetDatabase, tmp_path: Path
) -> None:
    """A host that was in one cluster copies certificates of the next, also of lower numbers."""
    set_live(database, "gw-b")
    place = replace(database.place(A), sealing_keys=(sealing_key(tmp_path, "seal"),))
    store = FleetStore(gatecert.state_directory, place, pause=0.0)
    with closing(store.database):
        (version,) = store.versions(GATEWAY)
        assert version.generation == 1
        store.remove_version(store.add_generation(GATEWAY, chain(), 7, now=NOW))
        left(gatecert)
    files = FileStore(gatecert.state_directory)
    assert [each.generation for each in files.versions(GATEWAY)] == [0]
    other = replace(database.place("lab-gw-a"), sealing_keys=(sealing_key(tmp_path, "seal"),))
    elsewhere, issued = FleetStore(tmp_path / "elsewhere", other, pause=0.0), chain()
    moved = FleetStore(gatecert.state_directory, other, pause=0.0)
    with closing(elsewhere.database), closing(moved.database):
        elsewhere.save_state(GATEWAY, GatewayState())
        with elsewhere.lease(GATEWAY) as lease:
            spent = Expenses(NOW)
            elsewhere.open_order(GATEWAY, key_request("order-1"), URL, spent, Limits(), lease=lease)
            elsewhere.add_version(GATEWAY, issued, now=NOW)
        copied = moved.copy_version(GATEWAY, now=NOW)
        assert copied is not None
        assert moved.issued(copied).certificate == issued.certificate


def test_a_host_whose_daemon_runs_stays(gatecert: Gatecert) -> None:
    with gatecert:
        gatecert.wait_for(FileStore(gatecert.state_directory).daemon_pid, "the daemon")
        error = failed(gatecert.run("fleet", "leave"), 3)
    assert "(daemon) uses" in error
    assert "so gatecert fleet leave has changed nothing (systemctl stop gatecert, then" in error


def test_the_owner_removes_hosts_and_their_roles(
    database: FleetDatabase, owner: Callable[..., CommandResult]
) -> None:
    with database.server.owner(database.name) as session:
        add_host(session, "hq", "gw-c", ROLE)
    removed = owner("gw-c")
    assert (removed.exit_code, removed.errors) == (0, "")
    assert removed.output == "host gw-c of cluster hq is removed, and cannot log in any more\n"
    assert database.execute(f"SELECT rolname FROM pg_roles WHERE rolname = '{ROLE}'") == []
    assert database.execute("SELECT name FROM host WHERE cluster = 'hq' ORDER BY 1") == [
        ("gw-a",),
        ("gw-b",),
    ]


def test_what_stays_of_a_cluster_without_hosts_is_told(
    database: FleetDatabase, owner: Callable[..., CommandResult]
) -> None:
    with database.server.owner(database.name) as session:
        add_cluster(session, "branch")
        for host in ("gw-a", "gw-b"):
            add_host(session, "branch", host, f"branch-{host}")
    database.execute(
        "INSERT INTO gateway (cluster, name, not_after) VALUES ('branch', 'vpn', now())"
    )
    gone = "of cluster branch is removed, and cannot log in any more"
    assert owner("gw-b", cluster="branch").output.splitlines() == [f"host gw-b {gone}"]
    last = owner("gw-a", cluster="branch")
    assert (last.exit_code, last.errors) == (0, "")
    assert last.output == (
        f"host gw-a {gone}\n"
        "cluster branch has no host left: its account, certificates and counted requests stay in"
        " the database, and fleet status counts each of its gateways until 35 days after the"
        " certificate has ended\n"
    )
    assert database.execute("SELECT name FROM overview WHERE cluster = 'branch'") == [("vpn",)]


@pytest.mark.parametrize("role", ["pg_monitor", "gatecert_observer"])
def test_a_host_with_a_predefined_role_is_removed(
    database: FleetDatabase, owner: Callable[..., CommandResult], role: str
) -> None:
    """An earlier release let it in; the role itself stays."""
    with database.server.owner(database.name) as session:
        add_host(session, "hq", "gw-c", role)
    removed = owner("gw-c")
    assert (removed.exit_code, removed.errors) == (0, "")
    assert database.execute("SELECT FROM host WHERE name = 'gw-c'") == []
    member = f"pg_has_role('{role}', 'gatecert_host', 'MEMBER')"
    roles = f"SELECT {member} FROM pg_roles WHERE rolname = '{role}'"
    assert database.execute(roles) == [(False,)]


def test_nothing_is_due_in_a_cluster_without_hosts(
    database: FleetDatabase, owner: Callable[..., CommandResult]
) -> None:
    with database.server.owner(database.name) as session:
        add_cluster(session, "site")
        for host in ("gw-a", "gw-b"):
            add_host(session, "site", host, f"{ROLE}-{host}")
    database.execute("INSERT INTO gateway (cluster, name, due) VALUES ('site', 'vpn', now())")
    for host, due in (("gw-b", 1), ("gw-a", 0)):
        assert owner(host, cluster="site").exit_code == 0
        assert database.execute(DUE) == [(due,)]


def test_a_host_that_runs_is_not_removed(
    database: FleetDatabase, owner: Callable[..., CommandResult]
) -> None:
    set_live(database, "gw-b")
    refused = failed(owner("gw-a", "gw-b"), 2)
    assert "host gw-b of cluster hq still runs: nothing was changed" in refused
    assert "run gatecert fleet leave on gw-b" in refused
    assert database.execute("SELECT count(*) FROM host") == [(3,)]


def test_wrong_names_and_logins_are_told(
    database: FleetDatabase, owner: Callable[..., CommandResult], gatecert: Gatecert
) -> None:
    assert "no cluster hg (name one of: hq, lab)" in failed(owner("gw-a", cluster="hg"), 2)
    assert "has no host gw-x (name one of: gw-a, gw-b)" in failed(owner("gw-x"), 2)
    assert "has not the rights of the owner" in failed(owner("gw-b", user="hq-gw-a"))
    assert "name the hosts to remove" in gatecert.run("fleet", "leave", "--cluster", "hq").errors
    assert database.execute("SELECT count(*) FROM host") == [(3,)]
