"""Rows 1 to 8: an authority that is busy, slow, broken, or newer than we are."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from tests.faults import peers
from tests.faults.proxy.faults import (
    Answer,
    Drip,
    Drop,
    Novelties,
    Page,
    Silence,
    SlowValidation,
    Truncate,
)
from tests.faults.scene import HOSTNAME, VPN, Scene, Stopwatch, assert_pair, issued, refused

from harness.pebble import PebbleOptions

if TYPE_CHECKING:
    from tests.faults.conftest import Play
    from tests.faults.peers import Peer
    from tests.faults.proxy.faults import Fault

BROKEN: dict[str, Fault] = {
    "5xx": Answer(500, "serverInternal", "Internal server error"),
    "502 with HTML": Page(502),
    "200 with HTML": Page(200),
    "truncated JSON": Truncate(),
}
STORMS = 5  # chance is in it
REQUEST_SECONDS = 30  # what gatecert gives one request in all


# ---------------------------------------------------------------------- 1


def test_row_01_badnonce_storm(play: Play) -> None:
    scene = play(PebbleOptions(rejected_nonces=50))
    gatecert = scene.gatecert(authority={"limits": {"duplicates": "off"}})
    for number in range(1, STORMS + 1):
        before = scene.rules.asked("new-nonce")
        issued(gatecert.run("enroll", "--force"))
        assert gatecert.is_enrolled(VPN)
        assert scene.pebble.orders() == number
        # A nonce is taken from the error: asking for a new one each time would show.
        assert scene.rules.asked("new-nonce") - before <= 2


def test_row_01_badnonce_storm_of_90_percent_ends(play: Play) -> None:
    scene = play(PebbleOptions(rejected_nonces=90))
    gatecert = scene.gatecert()
    watch = Stopwatch()
    result = gatecert.run("enroll")
    assert watch.seconds < 30
    assert result.exit_code in {0, 1}
    assert "Traceback" not in result.errors
    assert len(scene.rules.journal()) < 200
    assert gatecert.certificate(VPN) is not None


def test_peer_row_01(peer_name: str, play: Play) -> None:
    scene = play(PebbleOptions(rejected_nonces=50))
    failed = 0
    for number in range(STORMS):
        peer = peers.PEERS[peer_name](scene, directory=scene.directory / f"{peer_name}{number}")
        failed += not peers.run(peer, peer.command(), timeout=180).succeeded
    assert not failed, f"gives up {failed} of {STORMS} times at 50 %"


# ---------------------------------------------------------------------- 2


@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
def test_row_02_retry_after(scene: Scene, as_date: bool) -> None:  # noqa: FBT001 - a parameter
    scene.rules.add(
        "new-order",
        Answer(
            503 if as_date else 429, "rateLimited", "slow down", retry_after=900, as_date=as_date
        ),
        times=1,
    )
    gatecert = scene.gatecert()
    began = time.time()
    refused(gatecert.run("enroll"))

    at = datetime.fromisoformat(gatecert.status(VPN)["next_at"]).timestamp()
    assert 899 <= at - began <= 930
    # Most of a quarter of an hour passes; each time the daemon is started anew, and killed.
    for life, clock in enumerate(("+1s", "+60s", "+860s"), 1):
        daemon = scene.gatecert(clock=clock).start()
        daemon.wait_logged("ready gateways=1", times=life)
        time.sleep(0.7)
        daemon.process.kill()
    assert scene.rules.asked("new-order") == 1
    scene.gatecert(clock="+935s").start().wait_enrolled(VPN)
    assert scene.rules.asked("new-order") == 2


def test_peer_row_02(peer: Peer, scene: Scene) -> None:
    scene.rules.add("new-order", Answer(429, "rateLimited", "slow down", retry_after=900))
    for _ in range(2):  # where it waits by itself, it is killed and started again
        assert not peers.run(peer, peer.command(), timeout=15).succeeded
    asked = [entry.at for entry in scene.rules.journal("new-order")]
    assert len(asked) < 2, f"started again, it asks after {asked[1] - asked[0]:.0f} s of 900"


# ---------------------------------------------------------------------- 3


def test_row_03_an_authority_that_is_broken(scene: Scene) -> None:
    gatecert = scene.gatecert()
    issued(gatecert.run("enroll"))
    scene.nginx(gatecert).start()
    issued(gatecert.run("enroll"))
    served = gatecert.certificate(VPN)
    assert gatecert.state(VPN) == "trusted"

    for where in ("directory", "new-order", "finalize"):
        for fault in BROKEN.values():
            scene.rules.clear()
            scene.rules.add(where, fault)
            refused(gatecert.run("enroll", "--force"))
            assert gatecert.certificate(VPN) == served
    assert gatecert.state(VPN) == "trusted"
    scene.rules.clear()
    issued(gatecert.run("enroll", "--force"))
    assert gatecert.certificate(VPN) != served
    assert gatecert.state(VPN) == "trusted"


def test_peer_row_03(peer: Peer, scene: Scene) -> None:
    peers.issue(peer)
    before = peers.leaf(peer)
    for name, fault in BROKEN.items():
        scene.rules.clear()
        scene.rules.add("new-order", fault)
        result = peers.run(peer, peer.renewal(force=True), timeout=120)
        assert result.exit_code is not None, f"still tries after 120 s: {name}"
        assert result.exit_code != 0, f"claims success: {name}"
        assert "panic:" not in result.output, f"panics: {name}"
        assert peers.leaf(peer) == before
    scene.rules.clear()
    assert peers.run(peer, peer.renewal(force=True)).succeeded, "does not recover"


# ---------------------------------------------------------------------- 4


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Silence(), Drip(1.0)], ids=["silence", "drip"])
def test_row_04_an_authority_that_says_nothing_or_drips(scene: Scene, fault: Fault) -> None:
    gatecert = scene.gatecert()
    scene.rules.add("directory", fault)
    watch = Stopwatch()
    refused(gatecert.run("enroll", seconds=120))
    assert watch.seconds < REQUEST_SECONDS + 10
    assert gatecert.certificate(VPN) is not None


@pytest.mark.parametrize("fault", [Silence(), Drip(1.0)], ids=["silence", "drip"])
def test_peer_row_04(peer: Peer, scene: Scene, fault: Fault) -> None:
    scene.rules.add("directory", fault)
    result = peers.run(peer, peer.command(), timeout=90)
    assert result.exit_code is not None, f"{type(fault).__name__}: still waiting after 90 s"
    assert not result.succeeded


# ---------------------------------------------------------------------- 5


def validate_slowly(scene: Scene) -> None:
    slow = SlowValidation(15, 3)
    scene.rules.add("authorization", slow)
    scene.rules.add("order", slow)


@pytest.mark.slow
def test_row_05_slow_validation(scene: Scene) -> None:
    validate_slowly(scene)
    gatecert = scene.gatecert()
    watch = Stopwatch()
    issued(gatecert.run("enroll"))
    assert 15 <= watch.seconds < 60
    assert gatecert.is_enrolled(VPN)
    assert scene.pebble.orders() == 1
    assert scene.rules.asked("authorization") + scene.rules.asked("order") <= 11


def test_peer_row_05(peer: Peer, scene: Scene) -> None:
    validate_slowly(scene)
    result = peers.run(peer, peer.command())
    assert result.succeeded, "gives up"
    polls = scene.rules.asked("authorization") + scene.rules.asked("order")
    assert polls <= 11, f"polls {polls} times in 15 s, against Retry-After: 3"


# ---------------------------------------------------------------------- 6


def test_row_06_invalid_order(scene: Scene) -> None:
    gatecert = scene.gatecert(alternative_names=["two.example.com"])
    # Both names point here, but nobody serves the document root where the authority looks.
    scene.names.point("two.example.com", "127.0.0.1")
    webroot = scene.directory / "webroot"
    webroot.mkdir()
    gatecert.configuration["challenges"]["http-01"] = {"webroot": str(webroot)}
    gatecert.write()
    result = gatecert.run("enroll")
    refused(result)
    status = gatecert.status(VPN)
    assert HOSTNAME in status["last_error"]["message"]
    assert status["failures"] == 1
    # A minute from then, of which a busy machine has taken some already.
    wait = datetime.fromisoformat(status["next_at"]) - datetime.now(UTC)
    assert 10 < wait.total_seconds() < 80
    assert scene.pebble.orders() == 1
    # Before its time nothing is asked for.
    gatecert.run("enroll")
    assert scene.pebble.orders() == 1

    port = scene.pebble.ports.http01
    gatecert.configuration["challenges"]["http-01"] = {"listen": [f"127.0.0.1:{port}"]}
    gatecert.write()
    issued(gatecert.run("enroll", "--force"))
    assert gatecert.is_enrolled(VPN)
    assert scene.pebble.orders() == 2


def test_peer_row_06(peer: Peer, scene: Scene) -> None:
    webroot = scene.directory / "webroot"
    webroot.mkdir()
    result = peers.run(peer, peer.command(webroot=webroot))
    assert not result.succeeded
    assert HOSTNAME in result.output, "the name is not reported"
    orders = scene.pebble.orders()
    peers.run(peer, peer.command(webroot=webroot))
    assert peers.run(peer, peer.command()).succeeded, "does not recover"
    assert scene.pebble.orders() < orders + 2, "orders again at once, without any backoff"


# ---------------------------------------------------------------------- 7


def test_row_07_already_valid(play: Play) -> None:
    scene = play(PebbleOptions(rejected_nonces=0, reused_authorizations=100))
    gatecert = scene.gatecert()
    issued(gatecert.run("enroll"))
    challenges = scene.rules.asked("challenge")
    first = gatecert.certificate(VPN)
    issued(gatecert.run("enroll", "--force"))
    assert gatecert.certificate(VPN) != first
    assert scene.rules.asked("challenge") == challenges == 1


def test_row_07_an_order_that_is_valid_already(scene: Scene) -> None:
    # The authority has done what finalisation asked for, but its answer is lost.
    scene.rules.add("finalize", Drop(after=True), times=1)
    refused(scene.gatecert().run("enroll"))
    gatecert = scene.gatecert(clock="+90s")
    issued(gatecert.run("enroll"))
    assert gatecert.is_enrolled(VPN)
    assert scene.rules.asked("challenge") == 1
    assert scene.pebble.orders() == 1
    assert scene.pebble.certificates() == 1


def test_peer_row_07(peer_name: str, play: Play) -> None:
    scene = play(PebbleOptions(rejected_nonces=0, reused_authorizations=100))
    peer = peers.PEERS[peer_name](scene)
    peers.issue(peer)
    challenges = scene.rules.asked("challenge")
    assert peers.run(peer, peer.renewal(force=True)).succeeded, "cannot renew"
    assert scene.rules.asked("challenge") == challenges, "attempts a challenge"


# ---------------------------------------------------------------------- 8


def test_row_08_novelties(scene: Scene) -> None:
    scene.rules.add("any", Novelties())
    gatecert = scene.gatecert()
    issued(gatecert.run("enroll"))
    assert gatecert.is_enrolled(VPN)
    issued(gatecert.run("enroll", "--force"))


def test_peer_row_08(peer: Peer, scene: Scene) -> None:
    scene.rules.add("any", Novelties())
    result = peers.run(peer, peer.command())
    assert result.succeeded, "fails"
    assert_pair(peer.fullchain, peer.private_key)
