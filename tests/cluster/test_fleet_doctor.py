"""The doctor's codes of a fleet, each provoked on real PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet

from harness.false_clock import false_clock
from harness.pebble import Pebble
from harness.pgbouncer import PgBouncer
from harness.postgres import HOST
from harness.waiting import wait_until

from .configured_host import configured_host

if TYPE_CHECKING:
    from contextlib import ExitStack

    from harness.gatecert import Gatecert

    from .conftest import FleetDatabase, Pair

ROLE = "hq-gw-a"
OF_FLEETS = {"database", "cluster", "rollout"}  # checks
ALL_WELL = {"database-ok", "cluster-ok", "rollout-ok"}
DEPLOYED = """
INSERT INTO deployment (cluster, gateway, host, generation, outcome)
VALUES ('hq', 'vpn', 'gw-a', 3, 'proven'), ('hq', 'vpn', 'gw-b', 3, 'proven')
"""
INSTALLED = (
    "INSERT INTO gateway (cluster, name, generation) VALUES ('hq', 'vpn', 3)",
    DEPLOYED,
    "UPDATE host SET seen = now()",
    "SELECT 1",
)
VERSION = """
INSERT INTO version
  (cluster, gateway, generation, fingerprint, not_after, host, created, certificate, sealed_key)
VALUES ('hq', 'vpn', 3, 'f', now(), 'gw-a', now() - interval '1 hour', 'c', '{}')
"""
ACCOUNT = """
INSERT INTO account (cluster, authority, directory_url, url, sealed_key)
VALUES ('hq', 'none', '{0}', '{0}/account', '{1}')
"""
BEHIND = "UPDATE deployment SET generation = 2 WHERE host = 'gw-b'"


class Diagnosed:
    """A host of a cluster, and what its doctor says of the fleet."""

    def __init__(self, gatecert: Gatecert) -> None:
        self.gatecert = gatecert
        gatecert.configuration["authorities"] = {
            "none": {"directory_url": f"https://{HOST}:1/directory"}
        }
        gatecert.write()

    def findings(self) -> dict[str, dict[str, Any]]:
        """Return the findings of the checks of a fleet, by code."""
        diagnosis = self.gatecert.run("doctor", "--json")
        assert diagnosis.output, diagnosis.errors
        found = diagnosis.json()["findings"]
        return {each["code"]: each for each in found if each["check"] in OF_FLEETS}

    def says(self, code: str, seen: str) -> set[str]:
        """Return the codes beside one that says this, and what to do."""
        found = self.findings()
        assert code in found, found
        assert seen in found[code]["seen"]
        assert found[code]["meaning"]
        assert found[code]["fix"]
        return found.keys() - {code}


@pytest.fixture
def fleet(database: FleetDatabase) -> FleetDatabase:
    """A cluster whose hosts are proven to serve its newest certificate."""
    database.execute(*INSTALLED)
    return database


@pytest.fixture
def host(fleet: FleetDatabase, tmp_path: Path) -> Diagnosed:
    return Diagnosed(configured_host(fleet, ROLE, tmp_path))


def test_nothing_is_wrong(fleet: FleetDatabase, host: Diagnosed) -> None:
    fleet.execute("UPDATE host SET twice = now() - interval '3 minutes'", "SELECT 1")
    assert host.findings().keys() == ALL_WELL


@pytest.mark.parametrize(
    ("change", "code", "seen", "beside"),
    [
        (
            "UPDATE fleet SET oldest_schema = 99",
            "schema-unknown",
            "serves no gatecert that knows only",
            set(),
        ),
        (
            "UPDATE host SET seen = now() - interval '3 minutes' WHERE login = 'hq-gw-b'",
            "host-silent",
            "gw-b is silent since ",
            {"database-ok", "rollout-ok"},
        ),
        (
            "UPDATE host SET twice = now() WHERE login = 'hq-gw-b'",
            "host-twice",
            "two daemons are in the fleet as host gw-b",
            ALL_WELL,
        ),
        (
            "UPDATE fleet SET brake_since = now(), brake_reason = '5 of 60'",
            "brake",
            ": 5 of 60",
            ALL_WELL,
        ),
        (
            "UPDATE fleet SET paused_since = now(), pause_reason = 'audit'",
            "fleet-paused",
            ": audit",
            ALL_WELL,
        ),
        (
            "UPDATE deployment SET outcome = 'rolled-back', reason = 'no' WHERE host = 'gw-b'",
            "generation-behind",
            "gw-b rolled back: no",
            {"database-ok", "cluster-ok"},
        ),
        ("DELETE FROM host WHERE login = 'hq-gw-a'", "login-refused", "is no host", set()),
    ],
)
def test_what_the_rows_say(
    fleet: FleetDatabase, host: Diagnosed, change: str, code: str, seen: str, beside: set[str]
) -> None:
    fleet.execute(change, "SELECT 1")
    assert host.says(code, seen) == beside


def test_a_host_that_had_time_to_notice_the_newest_is_behind(
    fleet: FleetDatabase, host: Diagnosed
) -> None:
    fleet.execute(BEHIND, "SELECT 1")
    assert "rollout-runs" in host.findings()
    seal = Path(host.gatecert.configuration["fleet"]["sealing_keys"][0])
    sealed = Fernet(seal.read_bytes()).encrypt(b"key").decode()
    fleet.execute(VERSION.format(sealed), "SELECT 1")
    beside = host.says("generation-behind", "proven on 1 of 2 hosts (gw-b has generation 2)")
    assert beside == {"database-ok", "cluster-ok"}


def test_a_key_that_no_sealing_key_opens(fleet: FleetDatabase, host: Diagnosed) -> None:
    others = Fernet(Fernet.generate_key()).encrypt(b"key").decode()
    fleet.execute(VERSION.format(others), "SELECT 1")
    assert host.says("sealing-key-missing", "the key of generation 3 is sealed with") == ALL_WELL


def test_an_account_that_no_sealing_key_opens_leaves_all_other_checks(
    fleet: FleetDatabase, host: Diagnosed, servers: ExitStack, tmp_path: Path
) -> None:
    pebble = servers.enter_context(Pebble(tmp_path / "pebble", dns_server=f"{HOST}:1"))
    authority = host.gatecert.configuration["authorities"]["none"]
    authority |= {
        "directory_url": pebble.directory_url,
        "ca_bundle": str(pebble.https_certificate),
        "trusted_roots": str(pebble.root),
    }
    host.gatecert.write()
    assert host.findings().keys() == ALL_WELL
    others = Fernet(Fernet.generate_key()).encrypt(b"key").decode()
    fleet.execute(ACCOUNT.format(pebble.directory_url, others), "SELECT 1")
    found = {each["code"] for each in host.gatecert.run("doctor", "--json").json()["findings"]}
    assert found >= {"sealing-key-missing", *ALL_WELL}


def test_no_server_answers(host: Diagnosed) -> None:
    host.gatecert.configuration["fleet"]["database"]["hosts"] = [f"{HOST}:1"]
    host.gatecert.write()
    assert host.says("database-away", "127.0.0.1:1 refuses connections") == set()


def test_a_pooler_keeps_no_sessions(
    fleet: FleetDatabase, host: Diagnosed, servers: ExitStack
) -> None:
    pooler = servers.enter_context(PgBouncer(fleet.server, [ROLE], mode="transaction"))
    host.gatecert.configuration["fleet"]["database"]["hosts"] = [f"{HOST}:{pooler.port}"]
    host.gatecert.write()
    assert host.says("pooler-unfit", "keeps no sessions") == set()


def test_a_role_with_too_many_rights(fleet: FleetDatabase, host: Diagnosed) -> None:
    fleet.execute('ALTER ROLE "hq-gw-a" SUPERUSER', "SELECT 1")
    try:
        assert host.says("role-excess", "the role of this host is a superuser") == ALL_WELL
    finally:
        fleet.execute('ALTER ROLE "hq-gw-a" NOSUPERUSER', "SELECT 1")


@pytest.mark.parametrize(("offset", "seen"), [("+20h", "ahead of"), ("-50m", "behind")])
def test_a_wrong_clock(fleet: FleetDatabase, tmp_path: Path, offset: str, seen: str) -> None:
    """It is off by less than the certificates of the test are valid."""
    host = Diagnosed(configured_host(fleet, ROLE, tmp_path, environment=false_clock(offset)))
    assert host.says("clock-off", f"{seen} that of the fleet's database") == ALL_WELL


def test_a_standby_that_nobody_waits_for(pair: Pair, tmp_path: Path) -> None:
    pair.fleet.execute(*INSTALLED)
    host = Diagnosed(configured_host(pair.fleet, ROLE, tmp_path))
    assert host.findings().keys() == ALL_WELL
    pair.primary.configure(synchronous_standby_names="")
    pair.primary.reload()
    is_asynchronous = "SELECT sync_state = 'async' FROM pg_stat_replication"
    wait_until(lambda: pair.primary.execute(is_asynchronous) == [(True,)], "the reload")
    assert host.says("database-asynchronous", "before a standby has it") == ALL_WELL
