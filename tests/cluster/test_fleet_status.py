"""gatecert fleet status: what a host, an observer and the owner see of a fleet."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatecert.model import DatabaseProblem, GatewayState, HostState
from gatecert.store.file_store import FileStore
from harness.gatecert import CommandResult, Gatecert
from harness.postgres import HOST, OWNER

from .configured_host import configured_host

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import FleetDatabase

ROLE = "hq-gw-a"
LETS_ENCRYPT_ALONE = {"letsencrypt": {"terms_of_service_agreed": True}}
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
INSERT_GATEWAY = (
    "INSERT INTO gateway (cluster, name, generation, priority, not_after, due, enrolment) VALUES "
)
HQ = f"""{INSERT_GATEWAY}
  ('hq', 'good', 1, 3, now() + interval '50 days 1 hour', date '2096-01-01', '{{}}'),
  ('hq', 'ends', 1, 3, now() + interval '49 hours', date '2096-01-01', '{{"failures": 4}}'),
  ('hq', 'ended', 1, 1, now() - interval '1 day', now() - interval '9 days', '{{}}'),
  ('hq', 'revoked', 1, 0, now() + interval '60 days', now(), '{{}}'),
  ('hq', 'refused', 2, 3, now() + interval '60 days', NULL, '{{}}'),
  ('hq', 'corrected', 2, 3, now() + interval '60 days', NULL, '{{}}'),
  ('hq', 'renewing', 1, 3, now() + interval '60 days', now(), '{{}}'),
  ('hq', 'first', 0, 2, NULL, now(), '{{}}')
"""
LAB = f"""{INSERT_GATEWAY}
  ('lab', 'new', 0, 2, NULL, now(), '{{}}'), ('lab', 'newer', 0, 2, NULL, now(), '{{}}')
"""
DEPLOYMENTS = """
INSERT INTO deployment (cluster, gateway, host, generation, outcome) VALUES
  ('hq', 'refused', 'gw-a', 2, 'rolled-back'), ('hq', 'refused', 'gw-b', 2, 'proven'),
  ('hq', 'corrected', 'gw-a', 1, 'failed'), ('hq', 'corrected', 'gw-b', 2, 'proven')
"""
INTENTS = f"""
INSERT INTO intent (cluster, gateway, generation, request, directory_url, host, csr, sealed_key)
VALUES ('hq', 'renewing', 2, 'order-1', '{LETS_ENCRYPT}', 'gw-a', 'csr', 'key'),
  ('lab', 'new', 1, 'order-2', '{LETS_ENCRYPT}', 'gw-a', 'csr', 'key')
"""
LEASES = """
UPDATE gateway SET lease = gen_random_uuid(), lease_host = 'gw-a',
  lease_until = now() + interval '1 hour' WHERE name IN ('renewing', 'new', 'good')
"""
EXPENSES = f"""
INSERT INTO expense (directory_url, kind, counted_by, value, id, cluster, host, at)
SELECT '{LETS_ENCRYPT}', 'certificate', 'registered-domain', 'ddns.example', number,
  CASE WHEN number <= 3 THEN 'hq' ELSE 'lab' END, 'gw-a',
  now() - CASE WHEN number = 1 THEN interval '8 days' ELSE interval '1 day' END
FROM generate_series(1, 45) AS number
"""
AUTHORITY = f"INSERT INTO authority (directory_url) VALUES ('{LETS_ENCRYPT}')"
NEW = [f"('lab', 'new-{number}', 0, 2, NULL, now(), '{{}}')" for number in range(105)]
SEEN = "UPDATE host SET seen = now() WHERE cluster = 'hq' AND name = 'gw-a'"


@pytest.fixture
def fleet(database: FleetDatabase) -> FleetDatabase:
    """A fleet with a gateway in each state."""
    database.execute(HQ, LAB, DEPLOYMENTS, INTENTS, LEASES, AUTHORITY, EXPENSES, SEEN, "SELECT 1")
    return database


@pytest.fixture
def gatecert(fleet: FleetDatabase, tmp_path: Path) -> Gatecert:
    """Host gw-a of cluster hq."""
    host = configured_host(fleet, ROLE, tmp_path)
    host.configuration["authorities"] = LETS_ENCRYPT_ALONE
    return host.write()


@pytest.fixture
def shared(fleet: FleetDatabase, gatecert: Gatecert) -> Gatecert:
    """Host gw-a of cluster hq, which alone has proven the shared certificate of its gateway."""
    fleet.execute(
        f"{INSERT_GATEWAY} ('hq', 'vpn', 12, 3, now() + interval '60 days', NULL, '{{}}')",
        "INSERT INTO deployment (cluster, gateway, host, generation, outcome) VALUES "
        "('hq', 'vpn', 'gw-a', 12, 'proven'), ('hq', 'vpn', 'gw-b', 11, 'proven')",
        "UPDATE host SET seen = now() - interval '3 minutes' WHERE login = 'hq-gw-b'",
        "SELECT 1",
    )
    return gatecert


def owners_login(fleet: FleetDatabase, user: str = OWNER) -> tuple[str, str]:
    where = f"host={fleet.server.sockets}&port={fleet.server.port}"
    return "--database", f"postgresql://{user}@/{fleet.name}?{where}"


def told(result: CommandResult) -> dict[str, Any]:
    """Return the lines of an overview by their label."""
    assert (result.exit_code, result.errors) == (0, "")
    return {line[:12].rstrip(): line[13:] for line in result.output.splitlines()}


def document(result: CommandResult) -> dict[str, Any]:
    assert (result.exit_code, result.errors) == (0, "")
    found: dict[str, Any] = json.loads(result.output)
    return found


def test_a_host_sees_its_cluster_and_the_budget_of_all(
    fleet: FleetDatabase, gatecert: Gatecert
) -> None:
    found = told(gatecert.run("fleet", "status"))
    assert found == {
        "database": f"{HOST}:{fleet.server.port}, no standby, schema 1",
        "cluster": "hq",
        "gateways": "8: 3 trusted · 1 renewing · 1 waiting · 1 rolled back · 1 revoked · 1 expired",
        "ends next": found["ends next"],
        "due": "today 4 · busiest day " + found["due"].partition("busiest day ")[2],
        "letsencrypt": found["letsencrypt"],
        "hosts": "2, 1 silent (hq/gw-b) · brake off",
    }
    assert found["ends next"].startswith("hq/ends in 2 d")
    assert found["ends next"].endswith(" (4 failures)")
    assert found["due"].endswith(": 4")
    assert found["letsencrypt"] == (
        "1 of 20 in flight · new names 44 of 50 in 7 days below ddns.example · 1 waits"
    )


@pytest.mark.parametrize("user", [OWNER, "fleet_observer"])
def test_others_see_the_whole_fleet_without_a_configuration(
    fleet: FleetDatabase, tmp_path: Path, user: str
) -> None:
    fleet.execute(
        "DROP ROLE IF EXISTS fleet_observer",
        "CREATE ROLE fleet_observer LOGIN IN ROLE gatecert_observer",
        f"{INSERT_GATEWAY} {', '.join(NEW)}",
        "UPDATE fleet SET paused_since = '2026-11-30 09:12Z', brake_since = '2026-11-30 09:13Z', "
        "brake_reason = '5 of 60 deployments were rolled back'",
        "SELECT 1",
    )
    found = told(
        Gatecert(tmp_path / "elsewhere").run("fleet", "status", *owners_login(fleet, user))
    )
    assert found["database"] == "this host, no standby, schema 1"
    assert "cluster" not in found
    assert found["gateways"].startswith("115: 3 trusted · 1 renewing · 108 waiting")
    assert found["letsencrypt"].startswith("2 in flight · new names 44 of 50 in 7 days below ")
    last = datetime.now(UTC) + timedelta(days=21)  # 6 now, then 50 a week
    assert found["letsencrypt"].endswith(f" · 107 wait until {last:%Y-%m-%d}")
    assert found["hosts"] == (
        "3, 2 silent (hq/gw-b, lab/gw-a) · paused since 2026-11-30 09:12:00 UTC · "
        "brake since 2026-11-30 09:13:00 UTC: 5 of 60 deployments were rolled back"
    )


def test_programs_get_the_same(fleet: FleetDatabase, gatecert: Gatecert) -> None:
    fleet.execute("UPDATE authority SET not_before = now() + interval '1 hour'", "SELECT 1")
    found = document(gatecert.run("fleet", "status", "--json"))
    assert (found["schema"], found["cluster"]) == (1, "hq")
    assert found["database"] == {
        "server": f"{HOST}:{fleet.server.port}",
        "synchronous": False,
        "schema": 1,
        "replicated": False,
    }
    assert found["gateways"] == {
        "total": 8,
        "trusted": 3,
        "renewing": 1,
        "waiting": 1,
        "rolled-back": 1,
        "revoked": 1,
        "expired": 1,
    }
    assert (found["ends_next"]["name"], found["ends_next"]["failures"]) == ("ends", 4)
    assert found["due_today"] == 4
    (authority,) = found["authorities"]
    assert authority["name"] == "letsencrypt"
    assert authority["not_before"] is not None
    assert authority["limits"] == [
        {
            "limit": "certificates",
            "group": "ddns.example",
            "used": 44,
            "count": 50,
            "seconds": 604800.0,
        }
    ]
    assert found["first_orders"]["waiting"] == 1
    assert found["hosts"]["silent_longest"] == [{"cluster": "hq", "name": "gw-b", "seen": None}]


@pytest.mark.parametrize(
    ("not_after", "due", "is_shown"),
    [
        ("NULL", "NULL", False),
        ("now() - interval '36 days'", "NULL", False),
        ("now() - interval '34 days'", "NULL", True),
        ("now() + interval '1 day'", "NULL", True),
        ("NULL", "now() - interval '1 year'", True),
        ("now() - interval '1 year'", "now() - interval '1 year'", True),
    ],
)
def test_a_gateway_that_no_host_has_is_left_out_in_the_end(
    database: FleetDatabase, gatecert: Gatecert, not_after: str, due: str, *, is_shown: bool
) -> None:
    old = f"{INSERT_GATEWAY} ('hq', 'old', 1, 3, {not_after}, {due}, '{{}}')"
    database.execute(old, "SELECT 1")
    found = document(gatecert.run("fleet", "status", "--json"))
    assert found["gateways"]["total"] == 8 + is_shown


def test_a_role_that_is_no_host_sees_nothing(fleet: FleetDatabase) -> None:
    """It may be a member of the hosts' group, and its host have been removed."""
    with fleet.connect("lab-gw-a") as connection:
        assert len(connection.execute("SELECT FROM overview").fetchall()) == 2
        fleet.execute("DELETE FROM host WHERE login = 'lab-gw-a'", "SELECT 1")
        assert connection.execute("SELECT FROM overview").fetchall() == []


def test_the_database_is_away(gatecert: Gatecert) -> None:
    gatecert.configuration["fleet"]["database"]["hosts"] = [f"{HOST}:1"]
    failed = gatecert.write().run("fleet", "status")
    assert (failed.exit_code, failed.output) == (1, "")
    assert "cannot be used: 127.0.0.1:1 refuses connections" in failed.errors


def test_the_status_of_a_host_has_a_line_of_its_cluster(
    fleet: FleetDatabase, shared: Gatecert
) -> None:
    ((seen,),) = fleet.execute("SELECT seen FROM host WHERE login = 'hq-gw-b'")
    line = f"generation 12 proven on 1 of 2 hosts (gw-b silent since {seen:%H:%M} UTC)"
    shown = shared.run("status")
    assert (shown.exit_code, shown.errors) == (0, "")
    assert f"fleet  {line}" in shown.output.splitlines()

    (told,) = document(shared.run("status", "--json"))["gateways"]
    assert (told["fleet"]["words"], told["fleet"]["proven"]) == (line, ["gw-a"])
    assert [each["name"] for each in told["fleet"]["others"]] == ["gw-b"]

    fleet.execute("UPDATE fleet SET brake_since = now(), brake_reason = 'too many'", "SELECT 1")
    assert "fleet  brake since " in shared.run("status").output


def test_a_host_that_knows_that_the_database_is_away_does_not_ask_it(shared: Gatecert) -> None:
    """Nobody who asks for the status waits for a server that does not answer."""
    since = datetime(2026, 11, 30, 9, 12, tzinfo=UTC)
    known = DatabaseProblem(since, "database-away", "no server answers")
    files = FileStore(shared.state_directory)
    files.save_state("vpn", GatewayState(host=HostState(database=known)))
    alone = "127.0.0.99"  # where no client of another test's server comes by
    with socket.create_server((alone, 0)) as silent:
        silent.setblocking(False)  # noqa: FBT003 - its only parameter
        server = f"{alone}:{silent.getsockname()[1]}"
        shared.configuration["fleet"]["database"]["hosts"] = [server]

        shown = shared.write().run("status")

        line = "database away since 2026-11-30 09:12:00 UTC: serving on, no orders"
        assert f"fleet  {line}" in shown.output.splitlines()
        (told,) = document(shared.run("status", "--json"))["gateways"]
        assert told["fleet"]["away"] is True
        assert told["fleet"]["away_since"] == "2026-11-30T09:12:00Z"
        with pytest.raises(BlockingIOError):
            silent.accept()

        files.save_state("vpn", GatewayState())
        line = "database away: serving on, no orders"  # nobody knows since when
        assert f"fleet  {line}" in shared.run("status").output.splitlines()
        silent.accept()[0].close()
        (told,) = document(shared.run("status", "--json"))["gateways"]
        fleet = told["fleet"]
        assert (fleet["words"], fleet["away"], fleet["away_since"]) == (line, True, None)
