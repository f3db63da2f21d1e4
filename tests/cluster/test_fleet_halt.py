"""gatecert fleet pause and resume, with the login of the owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.gatecert import Gatecert
from harness.postgres import OWNER

from .configured_host import failed

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import FleetDatabase

HALT = (
    "SELECT paused_since IS NOT NULL, pause_reason, brake_since IS NOT NULL, brake_reason "
    "FROM fleet"
)


@pytest.fixture
def gatecert(tmp_path: Path) -> Gatecert:
    return Gatecert(tmp_path / "owner")


def url(database: FleetDatabase, user: str = OWNER, name: str = "") -> str:
    where = f"host={database.server.sockets}&port={database.server.port}"
    return f"postgresql://{user}@/{name or database.name}?{where}"


def test_a_pause_lasts_until_it_is_ended(database: FleetDatabase, gatecert: Gatecert) -> None:
    login = ("--database", url(database))
    paused = gatecert.run("fleet", "pause", "--reason", "new\nfirewall", *login)
    assert (paused.exit_code, paused.errors) == (0, "")
    assert paused.output.splitlines()[0].endswith(" UTC: new firewall")
    assert database.execute(HALT) == [(True, "new firewall", False, "")]
    since = database.execute("SELECT paused_since FROM fleet")

    again = gatecert.run("fleet", "pause", *login)
    assert again.exit_code == 0
    assert database.execute(HALT) == [(True, "", False, "")]
    assert database.execute("SELECT paused_since FROM fleet") == since

    resumed = gatecert.run("fleet", "resume", *login)
    assert (resumed.exit_code, resumed.errors) == (0, "")
    assert resumed.output.startswith("was paused since ")
    assert database.execute(HALT) == [(False, "", False, "")]
    assert gatecert.run("fleet", "resume", *login).output == (
        "the fleet was not halted; what roll-backs have stopped goes on\n"
    )


def test_resume_releases_the_brake_that_roll_backs_have_set(
    database: FleetDatabase, gatecert: Gatecert
) -> None:
    with database.connect("hq-gw-a") as host:
        host.execute("INSERT INTO gateway (name) VALUES ('a'), ('b'), ('c')")
        host.execute(
            "INSERT INTO deployment (gateway, generation, outcome)"
            " SELECT name, 1, 'rolled-back' FROM gateway"
        )
    resumed = gatecert.run("fleet", "resume", "--database", url(database))
    told, last = resumed.output.splitlines()
    assert told.startswith("brake was on since ")
    assert ": 3 of 3 deployments of an hour were rolled back" in told
    assert last == "all hosts go on"
    assert database.execute(HALT) == [(False, "", False, "")]


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_host_neither_pauses_nor_resumes(
    database: FleetDatabase, gatecert: Gatecert, command: str
) -> None:
    refused = gatecert.run("fleet", command, "--database", url(database, "hq-gw-a"))
    assert "the role hq-gw-a has not the rights of the owner" in failed(refused)
    assert database.execute(HALT) == [(False, "", False, "")]


def test_a_database_of_something_else_is_told_apart(
    database: FleetDatabase, gatecert: Gatecert
) -> None:
    other = gatecert.run("fleet", "pause", "--database", url(database, name="postgres"))
    assert "the database has schema none" in failed(other)


def test_the_login_is_named_or_configured(gatecert: Gatecert) -> None:
    gatecert.add_gateway("vpn", "vpn.example.com", mode="custom").write()
    error = failed(gatecert.run("fleet", "pause"), 2)
    assert "the configuration has no fleet" in error
    assert "or name --database" in error
