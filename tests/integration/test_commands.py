"""The output of commands with valid and invalid input, with real servers."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

BOSTON = "boston"


@pytest.fixture
def ready(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> Gatecert:
    """A configured gateway whose name points here, not enrolled."""
    names.point(hostname, "127.0.0.1")
    return gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()


def test_enroll_shows_each_stage_and_then_has_nothing_to_do(ready: Gatecert) -> None:
    first = ready.run("enroll")
    assert first.exit_code == 0, first.errors
    stages = [line.split(": ")[1] for line in first.output.splitlines()]
    assert stages == sorted(stages, key=["resolve", "order", "install", "verify", "enrolled"].index)
    assert {"resolve", "order", "enrolled"} <= set(stages)
    assert "\x1b" not in first.output

    second = ready.run("enroll")
    assert second.exit_code == 0
    assert "nothing is due" in second.output


def test_force_orders_again(ready: Gatecert, pebble: Pebble) -> None:
    assert ready.run("enroll").exit_code == 0
    first = ready.certificate(BOSTON)
    assert ready.run("enroll", "--force", BOSTON).exit_code == 0
    assert ready.certificate(BOSTON) != first
    assert pebble.orders() == 2


def test_status_agrees_with_its_json(ready: Gatecert) -> None:
    ready.run("enroll")
    people = ready.run("status", BOSTON)
    assert people.exit_code == 0
    programs = ready.status(BOSTON)
    for value in (programs["state"], programs["issuer"], programs["hostname"]):
        assert value in people.output
    assert f"in {programs['days_left']} d" in people.output
    row = ready.run("status").output.splitlines()[-1]
    assert BOSTON in row
    assert programs["state"] in row
    assert "renews in" in row


def test_unknown_gateways_are_wrong_usage(ready: Gatecert) -> None:
    result = ready.run("status", "bosten")
    assert result.exit_code == 2
    assert "did you mean 'boston'" in result.errors
    assert len(result.errors.splitlines()) == 1


def test_terms_without_agreement_are_reported(ready: Gatecert) -> None:
    ready.configuration["authorities"]["pebble"]["terms_of_service_agreed"] = False
    ready.write()
    checked = ready.run("check")
    assert checked.exit_code == 2
    assert "authorities.pebble.terms_of_service_agreed" in checked.errors
    enrolled = ready.run("enroll")
    assert enrolled.exit_code == 1
    assert "terms_of_service_agreed" in enrolled.errors
    assert ready.state(BOSTON) == "failing"


def test_an_occupied_port_is_reported_with_its_process(ready: Gatecert, pebble: Pebble) -> None:
    with socket.create_server(("127.0.0.1", pebble.ports.http01)):
        result = ready.run("enroll")
    assert result.exit_code == 1
    assert str(pebble.ports.http01) in result.errors
    assert Path(sys.executable).name[:6] in result.errors
    assert str(os.getpid()) in result.errors
    assert ready.run("enroll", "--force").exit_code == 0


def test_an_unreachable_ca_is_one_line(ready: Gatecert, pebble: Pebble) -> None:
    pebble.process.stop()
    result = ready.run("enroll")
    assert result.exit_code == 1
    assert "Traceback" not in result.errors
    (line,) = result.errors.splitlines()
    assert "authority-unreachable" in ready.status(BOSTON)["last_error"]["code"]
    assert pebble.directory_url.split("/")[2].split(":")[0] in line


@pytest.mark.parametrize("damage", [b"", b"\x00\xff garbage", b'{"schema": 1, "failures": []}'])
def test_damaged_state_is_set_aside_and_costs_no_order(
    ready: Gatecert, pebble: Pebble, damage: bytes
) -> None:
    assert ready.run("enroll").exit_code == 0
    certificate = ready.certificate(BOSTON)
    gateway = ready.state_directory / "gateways" / BOSTON
    account = ready.state_directory / "accounts" / "pebble" / "account.json"
    for path in (gateway / "state.json", gateway / "deployment.json", account):
        path.write_bytes(damage)
    for meta in gateway.glob("versions/*/meta.json"):
        meta.write_bytes(damage)

    result = ready.run("enroll")
    assert result.exit_code == 0, result.errors
    assert ready.certificate(BOSTON) == certificate
    assert pebble.orders() == 1
    assert list(gateway.glob("state.json.damaged-*"))
    assert "damaged" in result.errors

    assert ready.run("enroll", "--force").exit_code == 0
    assert pebble.orders() == 2
