"""Rows 14 to 17: names that lead elsewhere or nowhere, and a port that somebody else has."""

from __future__ import annotations

import re
import socket
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.faults import peers
from tests.faults.proxy.faults import ANSWERS
from tests.faults.scene import HOSTNAME, VPN, Scene, issued, refused

from harness.challenge_test_server import ChallengeTestServer
from harness.process import BackgroundProcess
from harness.waiting import wait_until

if TYPE_CHECKING:
    from tests.faults.peers import Peer

    from harness.gatecert import Gatecert


def no_order(scene: Scene) -> None:
    assert scene.rules.asked("new-order") == 0


# ---------------------------------------------------------------------- 14


def test_row_14_resolver_trouble(scene: Scene) -> None:
    gatecert = scene.gatecert()
    gatecert.configuration["resolver"]["timeout"] = "1s"
    gatecert.write()
    seen: list[str] = []

    def fails() -> None:
        refused(gatecert.run("enroll"))
        no_order(scene)
        seen.append(str(gatecert.status(VPN)["last_error"]["message"]))

    scene.names.fail(HOSTNAME)
    fails()
    scene.names.stop_failing(HOSTNAME)
    scene.names.point(HOSTNAME)
    fails()
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as mute:
        mute.bind(("127.0.0.1", 0))
        nameservers = gatecert.configuration["resolver"]["nameservers"]
        gatecert.configuration["resolver"]["nameservers"] = [f"127.0.0.1:{mute.getsockname()[1]}"]
        gatecert.write()
        fails()
    gatecert.configuration["resolver"]["nameservers"] = nameservers
    gatecert.write()
    assert "SERVFAIL" in seen[0]
    assert "no A or AAAA record" in seen[1]
    assert len(set(seen)) == 3
    # It is tried again by the daemon, as soon as the name is there.
    gatecert.start()
    scene.names.point(HOSTNAME, "127.0.0.1")
    gatecert.wait_enrolled(VPN)
    assert scene.pebble.orders() == 1


def test_row_14_the_authority_has_dns_trouble(scene: Scene) -> None:
    # We resolve the name, the authority's resolver fails.
    ours = scene.servers.enter_context(ChallengeTestServer(scene.directory / "ours"))
    ours.point(HOSTNAME, "127.0.0.1")
    scene.names.fail(HOSTNAME)
    gatecert = scene.gatecert()
    gatecert.configuration["resolver"]["nameservers"] = [ours.address]
    gatecert.write()
    refused(gatecert.run("enroll"), HOSTNAME)
    error = gatecert.status(VPN)["last_error"]
    assert error["code"] == "challenge-failed"
    assert "pebble" in error["message"]
    assert re.search(r"\bdns\b|DNS|resolv|SERVFAIL", error["message"])
    assert scene.rules.asked("new-order") == 1


# ---------------------------------------------------------------------- 15


@pytest.mark.parametrize("addresses", [["203.0.113.66"], ["127.0.0.1", "2001:db8::bad"]])
def test_row_15_addresses_that_are_not_here(scene: Scene, addresses: list[str]) -> None:
    scene.names.point(HOSTNAME, *addresses)
    gatecert = scene.gatecert()
    refused(gatecert.run("enroll"), addresses[-1])
    no_order(scene)
    assert gatecert.status(VPN)["last_error"]["code"] == "name-not-here"


def test_peer_row_15(peer: Peer, scene: Scene) -> None:
    scene.names.point(HOSTNAME, "127.0.0.1", "2001:db8::bad")
    peers.run(peer, peer.command())
    assert scene.rules.asked("new-order") == 0, "orders, and leaves it to the authority to find out"


# ---------------------------------------------------------------------- 16


def test_row_16_caa_forbids(scene: Scene) -> None:
    scene.names.restrict(HOSTNAME, "other.example.net")
    gatecert = scene.gatecert()
    refused(gatecert.run("enroll"), "CAA")
    no_order(scene)
    status = gatecert.status(VPN)
    assert status["last_error"]["code"] == "caa-forbids"
    wait = datetime.fromisoformat(status["next_at"]) - datetime.now(UTC)
    assert timedelta(hours=20) < wait < timedelta(hours=28)
    scene.names.lift_restriction(HOSTNAME)
    issued(gatecert.run("enroll"))
    assert gatecert.is_enrolled(VPN)


def test_peer_row_16(peer: Peer, scene: Scene) -> None:
    # Pebble does not look at CAA records, so the proxy answers what Boulder would.
    scene.rules.add("finalize", ANSWERS["caa"])
    result = peers.run(peer, peer.command(), timeout=120)
    assert result.exit_code is not None, "still tries after 120 s"
    assert not result.succeeded
    assert "CAA" in result.output, "does not say so"


# ---------------------------------------------------------------------- 17


def holder(scene: Scene) -> BackgroundProcess:
    """Somebody who has the port of http-01."""
    port = scene.pebble.ports.http01
    process = BackgroundProcess(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)],
        log=scene.directory / "holder.log",
    )
    scene.servers.enter_context(process)

    def listens() -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(listens, "the holder of the port")
    return process


def test_row_17_the_port_is_taken(scene: Scene) -> None:
    process = holder(scene)
    gatecert = scene.gatecert()
    refused(gatecert.run("enroll"), str(process.pid), "python")
    assert process.alive
    assert scene.pebble.certificates() == 0
    assert scene.rules.asked("challenge") == 0
    process.kill()
    retry(scene, gatecert)


def retry(scene: Scene, gatecert: Gatecert) -> None:
    issued(scene.gatecert(clock="+80s").run("enroll"))
    assert gatecert.is_enrolled(VPN)


def test_peer_row_17(peer: Peer, scene: Scene) -> None:
    process = holder(scene)
    result = peers.run(peer, peer.command())
    assert not result.succeeded
    assert process.alive
    assert str(process.pid) in result.output, "does not name the holder"
