"""Row 53: one address floods the responder."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest
from tests.faults import peers
from tests.faults.scene import VPN, Scene, issued

from harness.ports import free_port

if TYPE_CHECKING:
    from typing import Self

    from tests.faults.peers import Peer

LOOPBACK = "127.0.0.1"
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
                channel.setblocking(False)
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


class Forwarder:
    """Hands connections from one port on to another; the first bytes come late.

    Attributes:
        attempts: How many connections came.
    """

    def __init__(self, port: int, upstream: int, *, late: float = 0.0) -> None:
        self._listener = socket.create_server((LOOPBACK, port))
        self._upstream = upstream
        self._late = late
        self.attempts = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                visitor, _ = self._listener.accept()
                self.attempts += 1
                threading.Thread(target=self._forward, args=(visitor,), daemon=True).start()

    def _forward(self, visitor: socket.socket) -> None:
        with visitor, suppress(OSError):
            with socket.create_connection((LOOPBACK, self._upstream), 5) as upstream:
                time.sleep(self._late)
                _pump(visitor, upstream)


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Hand bytes over both ways until one side closes."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while events := selector.select(10):
            for key, _ in events:
                data = key.fileobj.recv(65536)  # type: ignore[union-attr] # a socket
                if not data:
                    return
                key.data.sendall(data)


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
