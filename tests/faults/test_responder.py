"""Rows 53 and 54: who would keep the CA from the responder, or be visited in its place."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections import deque
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest
from tests.faults import peers
from tests.faults.forwarder import LOOPBACK, Forwarder
from tests.faults.scene import VPN, Scene, issued

from harness.pebble import PROJECT
from harness.ports import free_port
from harness.process import program

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from tests.faults.peers import Peer

ATTACKER = "127.0.0.2"
CROWD = 300  # connections that the attacker keeps open
PACE = 0.001  # seconds between two of them
LATE = 0.5  # seconds between the CA's connection and its first byte


class Flood:
    """Opens connections from one address without end, says next to nothing on them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with ExitStack() as opened:
            crowd: deque[socket.socket] = deque()
            while not self._over.wait(PACE):
                channel = opened.enter_context(socket.socket())
                channel.settimeout(0)
                with suppress(OSError):
                    channel.bind((ATTACKER, 0))
                    channel.connect_ex((LOOPBACK, self._port))
                crowd.append(channel)
                if len(crowd) > CROWD:
                    crowd.popleft().close()
                    with suppress(OSError):
                        crowd[CROWD // 2].send(b"G")
            opened.pop_all()
            for channel in crowd:
                channel.close()


# ---------------------------------------------------------------------- 53


@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01"])
def test_row_53_validation_succeeds_while_one_address_floods_the_responder(
    scene: Scene, kind: str
) -> None:
    port, ports = free_port(), scene.pebble.ports
    gatecert = scene.gatecert(challenge=kind)
    gatecert.configuration["challenges"] = {kind: {"listen": [f"{LOOPBACK}:{port}"]}}
    gatecert.write()
    visited = ports.http01 if kind == "http-01" else ports.tls_alpn01

    with Forwarder(visited, port, late=LATE) as forwarder, Flood(port):
        issued(gatecert.run("enroll"))

    assert gatecert.is_enrolled(VPN)
    assert forwarder.attempts


def test_peer_row_53(peer: Peer, scene: Scene) -> None:
    port, visited = free_port(), scene.pebble.ports.http01
    command = [word.replace(f"{visited}", f"{port}") for word in peer.command()]
    with Forwarder(visited, port, late=LATE), Flood(port):
        result = peers.run(peer, command)
    assert result.succeeded, "is not validated"


# ---------------------------------------------------------------------- 54


@pytest.mark.slow
def test_row_54_check_fails_where_a_local_user_can_bind_the_forwarded_port(tmp_path: Path) -> None:
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    played = subprocess.run(
        [
            *(program("unshare"), *rights, "--net"),
            *(sys.executable, "-m", "tests.faults.squatting", str(tmp_path)),
        ],
        env={**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests' / 'integration'}"},
        text=True,
        check=False,
        capture_output=True,
        timeout=120,
    )
    assert played.returncode == 0, played.stderr
    found = json.loads(played.stdout)

    exposed = found["8089"]
    assert exposed["user"], "the attack is not one"
    assert exposed["check"] == 2
    assert "127.0.0.1:8089" in exposed["said"]
    assert "such as 127.0.0.1:888" in exposed["said"]

    closed = found["888"]
    assert (closed["check"], closed["user"], closed["owner"]) == (0, False, True), closed
