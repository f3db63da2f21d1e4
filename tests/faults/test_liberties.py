"""Rows 45 to 49 and 52: the liberties that authorities take with RFC 8555."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from tests.faults import peers
from tests.faults.proxy.faults import Answer, Body, Patch
from tests.faults.scene import VPN, Scene, issued, refused

from harness.pebble import PebbleOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web
    from tests.faults.conftest import Play
    from tests.faults.peers import Peer
    from tests.faults.proxy.faults import Exchange

PROBLEM = {"type": "urn:ietf:params:acme:error:connection", "detail": "nobody there", "status": 400}


def changed(change: Callable[[Any], object]) -> Body:
    """An answer whose JSON is changed in place."""

    def apply(body: bytes) -> bytes:
        value = json.loads(body)
        change(value)
        return json.dumps(value).encode()

    return Body(apply)


# ---------------------------------------------------------------------- 45


def _invalid(authorization: Any) -> None:  # noqa: ANN401 - any JSON
    """Invalid, once the challenge was answered."""
    for challenge in authorization["challenges"]:
        if challenge["status"] != "pending":
            challenge.update(status="invalid", error=PROBLEM)
            authorization["status"] = "invalid"


def _processing(authorization: Any) -> None:  # noqa: ANN401 - any JSON
    """Processing with an error, once the challenge was answered."""
    for challenge in authorization["challenges"]:
        if challenge["status"] != "pending":
            challenge.update(status="processing", error=PROBLEM)
            authorization["status"] = "pending"


HOW = ("authorization invalid", "challenge processing", "challenge refused")


def misbehave(scene: Scene, how: str) -> None:
    """Let no order get past its validation."""
    if how == "challenge refused":
        scene.rules.add("challenge", Answer(400, "malformed", "nobody there"))
        return
    change = {"authorization invalid": _invalid, "challenge processing": _processing}[how]
    scene.rules.add("authorization", changed(change))
    scene.rules.add("order", Patch({"status": "pending"}))


@pytest.mark.parametrize("how", HOW)
def test_row_45_a_validation_that_fails_while_the_order_stays_pending(
    scene: Scene, how: str
) -> None:
    gatecert = scene.gatecert()
    misbehave(scene, how)
    refused(gatecert.run("enroll"), "nobody there")
    entries = scene.rules.journal()
    told = next(entry.at for entry in entries if entry.where == "challenge")
    assert entries[-1].at - told < 10
    scene.rules.clear()
    issued(gatecert.run("enroll", "--force"))
    assert scene.pebble.orders() == 2


@pytest.mark.parametrize("how", HOW)
def test_peer_row_45(peer: Peer, scene: Scene, how: str) -> None:
    misbehave(scene, how)
    result = peers.run(peer, peer.command())
    assert result.exit_code is not None
    assert result.seconds < 15, f"goes on for {result.seconds:.0f} s"


# ---------------------------------------------------------------------- 46


@pytest.mark.parametrize("left_out", ["certificate", "finalize"])
def test_row_46_a_finalisation_answered_without_what_comes_next(
    scene: Scene, left_out: str
) -> None:
    gatecert = scene.gatecert()
    scene.rules.add("finalize", Patch({"status": "valid", left_out: None}))
    issued(gatecert.run("enroll"))
    assert gatecert.is_enrolled(VPN)
    assert scene.pebble.orders() == 1


@pytest.mark.parametrize("left_out", ["certificate", "finalize"])
def test_peer_row_46(peer: Peer, scene: Scene, left_out: str) -> None:
    scene.rules.add("finalize", Patch({"status": "valid", left_out: None}))
    result = peers.run(peer, peer.command())
    assert result.succeeded, "throws the certificate away"


# ---------------------------------------------------------------------- 47


@pytest.mark.parametrize("status", [404, 500])
def test_row_47_alternate_chains_that_cannot_be_fetched(play: Play, status: int) -> None:
    scene = play(PebbleOptions(rejected_nonces=0, alternate_roots=2))
    gatecert = scene.gatecert(authority={"preferred_root": "Unheard Of"})
    scene.rules.add("certificate", Answer(status, "malformed", "no such chain"), after=1)
    issued(gatecert.run("enroll"))
    assert gatecert.is_enrolled(VPN)
    assert scene.rules.asked("certificate") > 1
    assert scene.pebble.orders() == 1


def test_peer_row_47(peer: Peer, scene: Scene) -> None:
    preferred = {
        "certbot": ["--preferred-chain", "Unheard Of"],
        "lego": ["--preferred-chain", "Unheard Of"],
    }[peer.name]
    scene.rules.add("certificate", Answer(404, "malformed", "no such chain"), after=1)
    result = peers.run(peer, peer.command(*preferred))
    assert result.succeeded, "takes no chain at all"


# ---------------------------------------------------------------------- 48

FORBIDDEN = Answer(400, "badCSR", "Error finalizing order :: invalid public key: key is forbidden")


def test_row_48_a_key_that_is_forbidden(scene: Scene) -> None:
    gatecert = scene.gatecert(key={"reuse": True})
    issued(gatecert.run("enroll"))
    first = gatecert.certificate(VPN)
    assert first is not None
    scene.rules.add("finalize", FORBIDDEN, times=1)
    issued(gatecert.run("enroll", "--force"))
    second = gatecert.certificate(VPN)
    assert second is not None
    assert second.public_key() != first.public_key()
    assert scene.pebble.orders() == 3


def test_peer_row_48(peer: Peer, scene: Scene) -> None:
    reuse = {"certbot": ["--reuse-key"], "lego": []}[peer.name]
    peers.issue(peer, *reuse)
    first = peers.leaf(peer)
    scene.rules.add("finalize", FORBIDDEN, times=1)
    again = {"certbot": [], "lego": ["--reuse-key"]}[peer.name]
    peers.run(peer, peer.renewal(*again, force=True))
    second = peers.leaf(peer)
    assert first is not None
    assert second is not None
    assert second.public_key() != first.public_key(), "has no certificate for another key"


# ---------------------------------------------------------------------- 49


class RefusesContact:
    """Refuses accounts that have a contact, and every change of one."""

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        message = json.loads(await exchange.request.read())
        from josepy.b64 import b64decode  # noqa: PLC0415 - in the proxy's thread only

        payload = json.loads(b64decode(message["payload"]) or b"null") or {}
        if payload.get("contact"):
            return await Answer(400, "invalidContact", "example.com is forbidden")(exchange)
        return await exchange.send(await exchange.forward())


def test_row_49_a_contact_that_is_refused(scene: Scene) -> None:
    gatecert = scene.gatecert()
    scene.rules.add("new-account", RefusesContact())
    scene.rules.add("account", RefusesContact())
    issued(gatecert.run("enroll"))
    gatecert.configuration["authorities"]["pebble"]["contact"] = ["else@example.com"]
    issued(gatecert.write().run("enroll", "--force"))
    assert scene.pebble.orders() == 2


def test_peer_row_49(peer: Peer, scene: Scene) -> None:
    scene.rules.add("new-account", RefusesContact())
    result = peers.run(peer, peer.command())
    assert result.succeeded, "has no account, and so no certificate"


# ---------------------------------------------------------------------- 52


def _for_another_name(authorization: Any) -> None:  # noqa: ANN401 - any JSON
    authorization["identifier"]["value"] = "victim.example.org"


def _many(order: Any) -> None:  # noqa: ANN401 - any JSON
    order["authorizations"] = [f"/authZ/{n}" for n in range(5_000)]


@pytest.mark.parametrize("how", ["another name", "5,000 of them"])
def test_row_52_authorizations_that_were_not_ordered(scene: Scene, how: str) -> None:
    webroot = scene.directory / "webroot"
    webroot.mkdir()
    gatecert = scene.gatecert()
    gatecert.configuration["challenges"]["http-01"] = {"webroot": str(webroot)}
    gatecert.write()
    if how == "another name":
        scene.rules.add("authorization", changed(_for_another_name))
    else:
        scene.rules.add("new-order", changed(_many))
    refused(gatecert.run("enroll"), "nothing was published")
    assert not [path for path in webroot.rglob("*") if path.is_file()]
    asked = Counter(entry.where for entry in scene.rules.journal())
    assert asked["authorization"] <= 1
    assert not asked["challenge"]


def test_peer_row_52(peer: Peer, scene: Scene) -> None:
    scene.rules.add("authorization", changed(_for_another_name))
    peers.run(peer, peer.command())
    assert not scene.rules.asked("challenge"), "proves control of a name that was not ordered"
