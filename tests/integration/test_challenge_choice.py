"""The choice of another challenge if the first one fails, and its messages."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from harness.ports import free_port
from harness.waiting import wait_until

if TYPE_CHECKING:
    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

BOSTON = "boston"


@pytest.fixture
def prepared(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> Gatecert:
    """Add a gateway that may use http-01 and tls-alpn-01."""
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname)
    gatecert.configuration["challenges"]["tls-alpn-01"] = {
        "listen": [f"127.0.0.1:{pebble.ports.tls_alpn01}"]
    }
    return gatecert


def lead_astray(gatecert: Gatecert) -> None:
    """Let gatecert answer http-01 at a port that the CA does not use."""
    listen = [f"127.0.0.1:{free_port()}"]
    gatecert.configuration["challenges"]["http-01"] = {"listen": listen}


def test_an_occupied_port_costs_no_failed_validation(
    prepared: Gatecert, pebble: Pebble, hostname: str
) -> None:
    prepared.write()
    with socket.create_server(("127.0.0.1", pebble.ports.http01)):
        result = prepared.run("enroll")

    assert result.exit_code == 0, result.errors
    (line,) = [line for line in result.output.splitlines() if "proving control" in line]
    assert f"proving control of {hostname} by tls-alpn-01" in line
    assert f"http-01 cannot be presented: 127.0.0.1:{pebble.ports.http01} is in use by" in line
    assert pebble.orders() == 1
    assert pebble.certificates() == 1


def test_a_failed_validation_leads_to_another_challenge_also_after_a_restart(
    prepared: Gatecert, pebble: Pebble, hostname: str
) -> None:
    right = prepared.configuration["challenges"]["http-01"]
    lead_astray(prepared)
    prepared.write()

    first = prepared.run("enroll")
    assert first.exit_code == 1
    assert f"proving control of {hostname} by http-01" in first.output
    (planned,) = prepared.status(BOSTON)["challenges"]
    assert planned["name"] == hostname
    assert planned["kind"] == "tls-alpn-01"
    assert planned["reason"].startswith("http-01 failed at ")

    second = prepared.run("enroll", "--force")
    assert second.exit_code == 0, second.errors
    assert f"proving control of {hostname} by tls-alpn-01 (http-01 failed at " in second.output
    assert prepared.status(BOSTON)["challenges"] == [
        {"name": hostname, "kind": "http-01", "reason": ""}
    ]

    # After a success the first kind is used again; it works by now.
    prepared.configuration["challenges"]["http-01"] = right
    prepared.write()
    third = prepared.run("enroll", "--force")
    assert third.exit_code == 0, third.errors
    assert pebble.certificates() == 2


def test_a_killed_daemon_continues_with_the_next_challenge(
    prepared: Gatecert, pebble: Pebble
) -> None:
    lead_astray(prepared)
    prepared.start()
    prepared.wait_for(lambda: prepared.state(BOSTON) == "failing", "the validation to fail")
    prepared.process.kill()

    result = prepared.run("enroll", "--force")

    assert result.exit_code == 0, result.errors
    assert "by tls-alpn-01 (http-01 failed at " in result.output
    assert pebble.certificates() == 1


def test_listed_challenges_are_tried_in_order(
    prepared: Gatecert, pebble: Pebble, hostname: str
) -> None:
    prepared.configuration["gateways"][BOSTON]["challenge"] = ["tls-alpn-01", "http-01"]
    prepared.write()

    result = prepared.run("enroll")

    assert result.exit_code == 0, result.errors
    assert f"proving control of {hostname} by tls-alpn-01\n" in result.output
    wait_until(pebble.certificates, "the certificate to be issued")


def test_without_a_usable_challenge_each_reason_is_reported_and_nothing_is_ordered(
    prepared: Gatecert, pebble: Pebble
) -> None:
    prepared.write()
    with (
        socket.create_server(("127.0.0.1", pebble.ports.http01)),
        socket.create_server(("127.0.0.1", pebble.ports.tls_alpn01)),
    ):
        result = prepared.run("enroll")

    assert result.exit_code == 1
    (line,) = [line for line in result.errors.splitlines() if "is in use by" in line]
    assert f"http-01: 127.0.0.1:{pebble.ports.http01} is in use by" in line
    assert f"tls-alpn-01: 127.0.0.1:{pebble.ports.tls_alpn01} is in use by" in line
    assert "challenges.http-01.listen" in line
    assert pebble.orders() == 0
    assert not prepared.is_enrolled(BOSTON)
