"""Rows 13, 29, 30 and 36: clocks that lie, long absences, and a daemon that is never left alone."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.faults import peers
from tests.faults.proxy.faults import Answer
from tests.faults.scene import HOSTNAME, VPN, Scene, issued

from harness.challenge_test_server import ChallengeTestServer
from harness.false_clock import false_clock
from harness.handshake import served_certificate
from harness.pebble import PebbleOptions

if TYPE_CHECKING:
    from tests.faults.conftest import Play
    from tests.faults.peers import Peer

    from harness.gatecert import Gatecert

EVERY = 5  # seconds
HOUR = 3600


# ---------------------------------------------------------------------- 13


@pytest.mark.parametrize("clock", ["+3y", "-3y"])
def test_row_13_a_clock_that_is_wrong_by_years(scene: Scene, clock: str) -> None:
    gatecert = scene.gatecert()
    issued(gatecert.run("enroll"))
    before = gatecert.certificate(VPN)
    late = scene.gatecert(clock=clock).start()
    late.wait_logged("ready gateways=1")
    for _ in range(3):
        time.sleep(1)
        late.look_again()
    late.process.stop()
    # Whatever it makes of that: no loop, and what was there goes on being served.
    assert scene.pebble.orders() <= 2
    assert gatecert.certificate(VPN) is not None
    issued(gatecert.run("enroll"))
    assert gatecert.state(VPN) != "expired"
    assert gatecert.certificate(VPN) == before or scene.pebble.orders() == 2


@pytest.mark.slow
def test_row_13_a_clock_that_jumps(play: Play) -> None:
    scene = play(
        PebbleOptions(rejected_nonces=0, profiles={"short": 30 * 86_400, "long": 90 * 86_400})
    )
    offset = scene.directory / "offset"
    offset.write_text("+0s")
    gatecert = scene.gatecert(
        clock=f"@{offset}", authority={"profile": "short"}, renewal={"renewal_info": False}
    ).start()
    gatecert.wait_enrolled(VPN)
    first = gatecert.certificate(VPN)
    gatecert.configuration["authorities"]["pebble"]["profile"] = "long"
    gatecert.reload()
    gatecert.wait_logged("configuration reloaded")

    # Only this clock jumps: the authority has another date, so nothing is ordered.
    offset.write_text("+21d")
    gatecert.wait_logged("clock jumped", seconds=30)
    gatecert.wait_logged("set the clock", seconds=30)
    assert scene.pebble.orders() == 1
    offset.write_text("+0s")
    gatecert.wait_logged("clock jumped", times=2, seconds=30)

    # The machine slept for three weeks: what has become due meanwhile is noticed, and done once.
    scene.proxy.ahead = timedelta(days=22)
    offset.write_text("+22d")
    gatecert.wait_for(lambda: gatecert.certificate(VPN) != first, "a renewal", seconds=90)
    for _ in range(3):
        gatecert.look_again()
        time.sleep(1)
    assert scene.pebble.orders() == 2
    gatecert.process.stop()


@pytest.mark.parametrize("peer_name", ["certbot"])  # lego does not ask libc for the time
def test_peer_row_13(peer_name: str, scene: Scene) -> None:
    peer = peers.PEERS[peer_name](scene)
    peers.issue(peer)
    for _ in range(3):
        peers.run(peer, peer.renewal(), environment=false_clock("+3y"))
    again = scene.pebble.orders() - 1
    assert again <= 1, f"orders again at each of {again} runs"


# ---------------------------------------------------------------------- 29


def is_served(gatecert: Gatecert, name: str) -> bool:
    return gatecert.state(name) in {"trusted", "unproven"}


@pytest.mark.slow
def test_row_29_switched_off_past_the_end(play: Play) -> None:
    scene = play(PebbleOptions(rejected_nonces=0, profiles={"short": 20, "long": 90 * 86_400}))
    gatecert = scene.gatecert(authority={"profile": "short"})
    others = [f"gateway{number}" for number in range(4)]
    for name in others:
        gatecert.add_gateway(name, f"{name}.example.com")
        scene.names.point(f"{name}.example.com", "127.0.0.1")
    gatecert.write()
    issued(gatecert.run("enroll"))
    expired = gatecert.certificate(VPN)
    assert expired is not None
    time.sleep(max(0, (expired.not_valid_after_utc - datetime.now(UTC)).total_seconds()) + 1)

    gatecert.configuration["authorities"]["pebble"]["profile"] = "long"
    server = scene.nginx(gatecert).start()
    assert served_certificate("127.0.0.1", server.port, HOSTNAME)
    orders = scene.pebble.orders()
    gatecert.start()
    for name in (VPN, *others):
        gatecert.wait_for(partial(is_served, gatecert, name), f"{name} to be renewed", seconds=60)
    time.sleep(2)
    assert scene.pebble.orders() - orders == 5
    assert gatecert.state(VPN) == "trusted"


def test_peer_row_29(peer_name: str, play: Play) -> None:
    scene = play(PebbleOptions(rejected_nonces=0, profiles={"short": 20}))
    peer = peers.PEERS[peer_name](scene)
    peers.issue(peer)
    expired = peers.leaf(peer)
    time.sleep(21)
    result = peers.run(peer, peer.renewal())
    assert result.succeeded, "fails"
    assert peers.leaf(peer) != expired, "does not renew"


# ---------------------------------------------------------------------- 30


def test_row_30_a_bootstrap_certificate_near_its_end(scene: Scene) -> None:
    scene.names.point(HOSTNAME)
    gatecert = scene.gatecert()
    gatecert.run("enroll")
    first = gatecert.certificate(VPN)
    assert first is not None
    assert first.issuer == first.subject
    lifetime = first.not_valid_after_utc - first.not_valid_before_utc
    late = f"+{int((lifetime - timedelta(days=1)).total_seconds())}s"
    scene.gatecert(clock=late).run("enroll")
    second = gatecert.certificate(VPN)
    assert second is not None
    assert second != first
    assert second.not_valid_after_utc > first.not_valid_after_utc


def test_row_30_an_authoritys_certificate_is_not_overwritten(scene: Scene) -> None:
    gatecert = scene.gatecert()
    issued(gatecert.run("enroll"))
    certificate = gatecert.certificate(VPN)
    scene.rules.add("any", Answer(500))
    for clock in ("+89d", "+91d", "+400d"):
        scene.gatecert(clock=clock).run("enroll")
        assert gatecert.certificate(VPN) == certificate, clock


# ---------------------------------------------------------------------- 36


@pytest.mark.slow
def test_row_36_killed_every_five_seconds_for_an_hour(scene: Scene) -> None:
    # One name whose validation always fails, one whose order never gets to its end in peace.
    ours = scene.servers.enter_context(ChallengeTestServer(scene.directory / "ours"))
    for name in (HOSTNAME, "good.example.com"):
        ours.point(name, "127.0.0.1")
    scene.names.point(HOSTNAME)
    scene.names.point("good.example.com", "127.0.0.1")
    offset = scene.directory / "offset"
    lives = 0
    for at in range(0, HOUR, EVERY):
        offset.write_text(f"+{at}s")
        gatecert = scene.gatecert(clock=f"@{offset}")
        gatecert.configuration["resolver"]["nameservers"] = [ours.address]
        gatecert.add_gateway("good", "good.example.com").write()
        gatecert.process.start()
        gatecert.wait_logged("ready gateways=2", times=lives + 1)
        # Most end at once; each twelfth goes on for as long as an order takes.
        time.sleep(2 if lives % 12 == 0 else 0.35 * (lives % 7) / 7)
        gatecert.process.kill()
        lives += 1
    assert lives == HOUR / EVERY
    failed = scene.rules.asked("challenge")
    good = scene.pebble.certificates()
    assert 1 <= failed - good <= 5
    assert 1 <= good <= 5
    assert gatecert.is_enrolled("good")


def test_peer_row_36(peer: Peer, scene: Scene) -> None:
    scene.names.point(HOSTNAME)
    # Every five minutes is as often as a timer would: a twelfth of what is asked of a daemon.
    for _ in range(12):
        peers.run(peer, peer.command())
    failed = scene.rules.asked("challenge")
    assert failed <= 5, f"{failed} failed validations in 12 runs"
