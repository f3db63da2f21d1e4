"""Rows 31 to 35: answers that no honest authority gives, and one that has had enough of us."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.faults import peers
from tests.faults.forger import Forger
from tests.faults.proxy.faults import ANSWERS, Body, Endless, Insecure, Patch, Redirect
from tests.faults.scene import VPN, Scene, issued, refused

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp import web
    from tests.faults.peers import Peer
    from tests.faults.proxy.faults import Exchange

MOST_MEGABYTES = 300
TOKENS = ("../../../escaped", "a/b", "..", "sp ace", "täken", "x" * 4096, "")
PORTAL = "https://portal.example.org/sfe/v1/unpause?jwt=eyJhbGciOiJIUzI1NiJ9.e30.c2ln"


# ---------------------------------------------------------------------- 31


@pytest.mark.parametrize("where", ["directory", "new-order", "certificate"])
def test_row_31_a_gigabyte(scene: Scene, where: str) -> None:
    scene.rules.add(where, Endless())
    gatecert = scene.gatecert()
    run = peers.watched([*gatecert.command, "enroll"], scene.directory / "log")
    assert run.exit_code == 1, run.output
    assert "MiB" in run.output
    assert run.megabytes < MOST_MEGABYTES
    assert not gatecert.is_enrolled(VPN)


@pytest.mark.parametrize("where", ["directory", "new-order", "certificate"])
def test_peer_row_31(peer: Peer, scene: Scene, where: str) -> None:
    scene.rules.add(where, Endless())
    result = peers.run(peer, peer.command(), most_megabytes=900)
    assert result.megabytes < MOST_MEGABYTES, f"{where}: takes {result.megabytes:.0f} MB and more"
    assert result.exit_code not in {0, None}, f"{where}: does not end"


# ---------------------------------------------------------------------- 32


@pytest.mark.parametrize("how", ["directory", "resources", "redirect"])
def test_row_32_plain_http(scene: Scene, how: str) -> None:
    gatecert = scene.gatecert()
    if how == "directory":
        authority = gatecert.configuration["authorities"]["pebble"]
        authority["directory_url"] = f"{scene.proxy.insecure_base}/dir"
        gatecert.write()
    else:
        scene.rules.add("directory", Insecure() if how == "resources" else Redirect())
    result = gatecert.run("enroll")
    assert result.exit_code in ({2} if how == "directory" else {1}), result.errors
    assert "https" in result.errors
    assert all(entry.secure for entry in scene.rules.journal())


@pytest.mark.parametrize("how", ["directory", "resources", "redirect"])
def test_peer_row_32(peer: Peer, scene: Scene, how: str) -> None:
    server = f"{scene.proxy.insecure_base}/dir" if how == "directory" else ""
    if how != "directory":
        scene.rules.add("directory", Insecure() if how == "resources" else Redirect())
    peers.run(peer, peer.command(server=server))
    plain = [entry for entry in scene.rules.journal() if not entry.secure]
    assert not plain, f"{how}: speaks plain HTTP"


# ---------------------------------------------------------------------- 33


def with_token(scene: Scene, token: str) -> None:
    def alter(document: dict[str, Any]) -> None:
        for challenge in document["challenges"]:
            challenge["token"] = token

    scene.rules.clear()
    scene.rules.add("authorization", Patch(alter=alter))


def files(directory: Path) -> set[Path]:
    return {path for path in directory.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_row_33_tokens_that_lead_elsewhere(scene: Scene) -> None:
    webroot = scene.directory / "outer" / "webroot"
    webroot.mkdir(parents=True)
    gatecert = scene.gatecert()
    gatecert.configuration["challenges"]["http-01"] = {"webroot": str(webroot)}
    gatecert.write()
    for token in TOKENS:
        with_token(scene, token)
        refused(gatecert.run("enroll", "--force"))
        assert not files(webroot.parent)
    assert scene.rules.asked("challenge") == 0


class WhileAsked:
    """Sees which files are there when a challenge is to be looked at."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.seen: set[Path] = set()

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        self.seen |= files(self._directory)
        return await exchange.send(await exchange.forward())


def test_peer_row_33(peer: Peer, scene: Scene) -> None:
    webroot = scene.directory / "outer" / "webroot"
    webroot.mkdir(parents=True)
    for token in ("../../../escaped", "a/b"):
        with_token(scene, token)
        witness = WhileAsked(webroot.parent)
        scene.rules.add("challenge", witness)
        before = scene.rules.asked("challenge")
        result = peers.run(peer, peer.command(webroot=webroot))
        assert not result.succeeded
        outside = [path for path in witness.seen if webroot not in path.parents]
        assert not outside, "writes outside the webroot"
        assert not witness.seen, f"writes a file for the token {token}"
        assert scene.rules.asked("challenge") == before, f"takes the token {token} for good"


# ---------------------------------------------------------------------- 34


@pytest.mark.slow
def test_row_34_certificates_that_are_not_what_was_asked_for(scene: Scene) -> None:
    forger = Forger(scene.directory)
    gatecert = scene.gatecert(
        authority={"trusted_roots": str(forger.root), "limits": {"duplicates": "off"}}
    )
    scene.rules.add("certificate", Body(forger.honest))
    issued(gatecert.run("enroll"))
    live = gatecert.certificate(VPN)
    assert gatecert.is_enrolled(VPN)
    for kind, change in forger.kinds.items():
        scene.rules.clear()
        scene.rules.add("certificate", Body(change))
        refused(gatecert.run("enroll", "--force"))
        assert gatecert.certificate(VPN) == live, kind
    scene.rules.clear()
    scene.rules.add("certificate", Body(forger.honest))
    issued(gatecert.run("enroll", "--force"))
    assert gatecert.certificate(VPN) != live


def test_peer_row_34(peer: Peer, scene: Scene) -> None:
    forger = Forger(scene.directory)
    scene.rules.add("certificate", Body(forger.honest))
    peers.issue(peer)
    taken = []
    for kind, change in forger.kinds.items():
        before = peer.fullchain.read_bytes()
        scene.rules.clear()
        scene.rules.add("certificate", Body(change))
        peers.run(peer, peer.renewal(force=True))
        if peer.fullchain.read_bytes() != before:
            taken.append(kind)
            peer = peers.PEERS[peer.name](scene, directory=scene.directory / f"after {kind}")
            scene.rules.clear()
            peers.issue(peer)
    assert not taken, f"installs: {', '.join(taken)}"


# ---------------------------------------------------------------------- 35


def test_row_35_a_name_that_is_paused(scene: Scene) -> None:
    scene.rules.add("new-order", ANSWERS["paused"])
    gatecert = scene.gatecert()
    refused(gatecert.run("enroll"), PORTAL)
    error = gatecert.status(VPN)["last_error"]
    assert PORTAL in error["message"] + error["fix"]
    assert error["code"] == "user-action-required"
    diagnosed = gatecert.run("doctor")
    assert diagnosed.exit_code == 1
    assert PORTAL in diagnosed.output
    for clock in ("+70s", "+20m", "+3h", "+23h"):
        scene.gatecert(clock=clock).run("enroll")
    assert scene.rules.asked("new-order") == 1
    # A person has been there, and says so.
    scene.rules.clear()
    issued(gatecert.run("enroll", "--force"))
    assert gatecert.is_enrolled(VPN)


def test_peer_row_35(peer: Peer, scene: Scene) -> None:
    scene.rules.add("new-order", ANSWERS["paused"])
    result = peers.run(peer, peer.command())
    assert not result.succeeded
    assert PORTAL in result.output, "does not show the portal's URL"
    peers.run(peer, peer.command())
    asked = scene.rules.asked("new-order")
    assert asked == 1, "asks again at once"
