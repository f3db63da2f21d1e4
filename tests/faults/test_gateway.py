"""Rows 18 to 20: a gateway that does not take the certificate."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.faults import peers
from tests.faults.scene import HOSTNAME, VPN, Scene, Stopwatch, issued, refused

from harness.handshake import served_certificate
from harness.nginx import Nginx

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509
    from tests.faults.peers import Peer

    from harness.gatecert import Gatecert

CHILD = f"4242.{os.getpid()}"  # an argument of sleep by which a child of this process is known


def script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n", "utf-8")
    path.chmod(0o755)
    return str(path)


def children() -> int:
    """Count the living children of the hanging command."""
    found = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            found += CHILD in process.cmdline()[-1:]
    return found


def served(server: Nginx) -> bytes:
    return served_certificate("127.0.0.1", server.port, HOSTNAME)


def der(certificate: x509.Certificate | None) -> bytes:
    assert certificate is not None
    return certificate.public_bytes(Encoding.DER)


# ---------------------------------------------------------------------- 18

RELOADS = {
    "hangs": f"sleep {CHILD} & sleep {CHILD}",
    "floods": "head -c 200000000 /dev/zero | tr '\\\\0' 'x'; exit 1",
    "fails": "echo it is broken; exit 3",
}


@pytest.mark.parametrize("how", list(RELOADS))
def test_row_18_reload_command(scene: Scene, how: str) -> None:
    reload = scene.directory / "reload"
    script(reload, RELOADS[how])
    gatecert = scene.gatecert(install={"reload": [str(reload)], "reload_timeout": "1s"})
    before = children()
    watch = Stopwatch()
    run = peers.watched([*gatecert.command, "enroll"], scene.directory / "log")
    assert run.exit_code == 1, run.output
    assert watch.seconds < 30
    assert children() <= before
    assert run.megabytes < 200
    assert len(run.output) < 20_000
    assert "reload" in gatecert.status(VPN)["last_error"]["code"]
    assert scene.pebble.orders() == 1
    script(reload, "exit 0")
    issued(scene.gatecert(clock="+70s", install={"reload": [str(reload)]}).run("enroll"))
    assert gatecert.is_enrolled(VPN)
    assert scene.pebble.orders() == 1


@pytest.mark.parametrize("how", ["hangs", "fails"])
def test_peer_row_18(peer: Peer, scene: Scene, how: str) -> None:
    log = scene.directory / "hook.log"
    reload = script(scene.directory / "reload", f"echo run >> {log}\n{RELOADS[how]}")
    result = peers.run(peer, peer.command(*peer.hook(reload)), timeout=135)
    assert result.exit_code is not None, "waits for a hook for more than 135 s"
    peers.run(peer, peer.renewal(*peer.hook(reload)))
    assert log.read_text().count("run") > 1, "a hook that failed is never run again"


# ---------------------------------------------------------------------- 19


def enrolled(scene: Scene, reload: str) -> tuple[Gatecert, Nginx]:
    """A gateway that serves an authority's certificate, proven; with that reload command."""
    gatecert = scene.gatecert()
    issued(gatecert.run("enroll"))
    server = scene.nginx(gatecert).start()
    gatecert.configuration["gateways"][VPN]["install"]["reload"] = [reload]
    gatecert.write()
    issued(gatecert.run("enroll"))
    assert gatecert.state(VPN) == "trusted"
    return gatecert, server


def test_row_19_a_reload_that_lies(scene: Scene) -> None:
    path = scene.directory / "reload"
    gatecert, server = enrolled(scene, script(path, "exit 0"))
    before = gatecert.certificate(VPN)
    refused(gatecert.run("enroll", "--force"), "stays in place")
    assert gatecert.status(VPN)["last_error"]["code"] == "not-served"
    assert gatecert.certificate(VPN) != before
    assert served(server) == der(before)

    script(path, f'kill -HUP "$(cat {server.pid_file})"')
    late = scene.gatecert(clock="+15s", install=gatecert.configuration["gateways"][VPN]["install"])
    issued(late.run("enroll"))
    assert late.certificate(VPN) != before
    assert served(server) == der(late.certificate(VPN))
    assert scene.pebble.orders() == 2


def test_peer_row_19(peer: Peer, scene: Scene) -> None:
    peers.issue(peer)
    server = Nginx(
        scene.directory / "nginx", fullchain=peer.fullchain, private_key=peer.private_key
    )
    scene.servers.enter_context(server)
    hook = script(scene.directory / "reload", "exit 0")
    result = peers.run(peer, peer.renewal(*peer.hook(hook), force=True))
    assert served(server) != der(peers.leaf(peer)), "the row is not played"
    assert not result.succeeded, "claims success; the old certificate is served"


# ---------------------------------------------------------------------- 20


def test_row_20_the_server_refuses_the_new_pair(scene: Scene) -> None:
    path = scene.directory / "reload"
    gatecert, server = enrolled(scene, script(path, "exit 0"))
    before = gatecert.certificate(VPN)
    taken = (gatecert.live(VPN)).readlink()
    script(
        path,
        f'[ "$(readlink {gatecert.live(VPN)})" = "{taken}" ] || {{ echo bad key; exit 1; }}\n'
        f'kill -HUP "$(cat {server.pid_file})"',
    )
    refused(gatecert.run("enroll", "--force"), "bad key", "rolled back")
    assert gatecert.certificate(VPN) == before
    assert served(server) == der(before)
    assert gatecert.status(VPN)["last_error"]["code"] == "reload-failed"


def test_row_20_the_server_does_not_survive_the_new_pair(scene: Scene) -> None:
    """A restart with the new pair leaves nobody listening; with the one before, it serves again."""
    gatecert = scene.gatecert()
    scene.names.point(HOSTNAME, "127.0.0.9")
    refused(gatecert.run("enroll"), "waiting")
    server = scene.nginx(gatecert).start()
    bootstrap, first = gatecert.certificate(VPN), gatecert.live(VPN).readlink()
    restart = script(
        scene.directory / "restart",
        f'kill -QUIT "$(cat {server.pid_file})" || :\n'
        f"while [ -e {server.pid_file} ]; do sleep 0.05; done\n"
        f'[ "$(readlink {gatecert.live(VPN)})" = "{first}" ] || exit 0\n'
        f"{' '.join(server.process.argv)} >{scene.directory}/again.log 2>&1 &\n",
    )
    gatecert.configuration["gateways"][VPN]["install"]["reload"] = [restart]
    gatecert.write()
    scene.names.point(HOSTNAME, "127.0.0.1")
    refused(gatecert.run("enroll"), "rolled back", "is served again")
    assert gatecert.certificate(VPN) == bootstrap
    assert served(server) == der(bootstrap)
    assert scene.pebble.orders() == 1
    os.kill(int(server.pid_file.read_text()), signal.SIGQUIT)


def test_peer_row_20(peer: Peer, scene: Scene) -> None:
    peers.issue(peer)
    before = peers.leaf(peer)
    hook = script(scene.directory / "reload", "echo bad key; exit 1")
    peers.run(peer, peer.renewal(*peer.hook(hook), force=True))
    assert peers.leaf(peer) == before, "leaves the refused pair in place"
