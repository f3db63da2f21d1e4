from __future__ import annotations

import http.client
import logging
import os
import socket
import time
from contextlib import closing, suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

import pytest
from tests.fakes.loopback import LOOPBACK, free_port

from gatecert.challenge import listening
from gatecert.challenge.listening import listen
from gatecert.model import Endpoint
from gatecert.supervision.held_listeners import HeldListeners

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.enable_socket

KINDS = pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01"])


class Core:
    """Holds listeners, and turns connections away as the event loop does."""

    def __init__(self) -> None:
        self.held = HeldListeners()
        self._one_at_a_time = Lock()
        self._ended = Event()
        self._thread = Thread(target=self._run)
        self._thread.start()

    def keep(self, kind: str, *addresses: str, **others: list[str]) -> None:
        with self._one_at_a_time:
            self.held.keep({kind: addresses, **others})

    def hold(self) -> None:
        with self._one_at_a_time:
            self.held.hold()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self.held.close()

    def _run(self) -> None:
        while not self._ended.wait(0.005):
            with self._one_at_a_time:
                self.held.turn_away()


@pytest.fixture
def core() -> Iterator[Core]:
    with closing(Core()) as running:
        yield running


@pytest.fixture
def port() -> int:
    return free_port()


def address(port: int) -> str:
    return f"{LOOPBACK}:{port}"


def is_not_ours(_: Endpoint) -> bool:
    return False


def accepts(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@KINDS
def test_a_held_port_is_open_until_it_is_closed(core: Core, kind: str, port: int) -> None:
    core.keep(kind, address(port))
    assert accepts(port)
    with pytest.raises(OSError, match="in use"):
        socket.create_server((LOOPBACK, port))
    core.close()
    assert not accepts(port)


def test_without_a_response_http_01_is_answered_so(core: Core, port: int) -> None:
    core.keep("http-01", address(port))
    for _ in range(3):
        with closing(http.client.HTTPConnection(LOOPBACK, port, timeout=5)) as connection:
            connection.request("GET", "/.well-known/acme-challenge/token")
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (404, b"")


def test_without_a_response_a_handshake_ends_at_once(core: Core, port: int) -> None:
    core.keep("tls-alpn-01", address(port))
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        assert connection.recv(1) == b""


def test_a_client_that_is_gone_disturbs_nobody(core: Core, port: int) -> None:
    core.keep("http-01", address(port))
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        connection.sendall(b"GET")
    test_without_a_response_http_01_is_answered_so(core, free_port())


@KINDS
def test_a_gatecert_that_presents_a_response_gets_every_connection(
    core: Core, kind: str, port: int
) -> None:
    core.keep(kind, address(port))
    for _ in range(2):
        (listener,) = listen([Endpoint(LOOPBACK, port)], is_not_ours, kind=kind)
        with listener:
            listener.settimeout(5)
            for _ in range(20):
                with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
                    accepted, peer = listener.accept()
                    accepted.close()
                    assert peer == connection.getsockname()
    assert accepts(port)


def test_ports_that_stay_are_not_interrupted(core: Core, port: int) -> None:
    gone, new = free_port(), free_port()
    core.keep("http-01", address(port), address(gone))
    with socket.create_connection((LOOPBACK, port), timeout=5) as waiting:
        core.keep("http-01", address(port), **{"tls-alpn-01": [address(new)]})
        waiting.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert waiting.recv(1024) == listening.NOTHING_PRESENTED
    assert [accepts(each) for each in (port, gone, new)] == [True, False, True]


def test_a_port_of_another_program_is_reported_once_and_held_when_it_is_free(
    core: Core, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server((LOOPBACK, port)):
        for _ in range(3):
            core.keep("http-01", address(port))
            core.hold()
    (message,) = caplog.messages
    assert message.startswith(f"{LOOPBACK}:{port} is in use by ")
    assert f"(pid {os.getpid()})" in message
    assert "stop it" in message
    caplog.set_level(logging.INFO)
    core.hold()
    assert accepts(port)
    assert caplog.messages[1:] == [f"listening for http-01 address={LOOPBACK}:{port}"]


def test_an_address_that_the_host_lacks_is_no_fault(
    core: Core, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    core.keep("http-01", f"192.0.2.1:{port}", f"[::1]:{port}")
    assert caplog.messages == []
    with suppress(OSError):
        socket.create_connection(("::1", port), timeout=5).close()


def test_nothing_but_addresses_is_held(core: Core, caplog: pytest.LogCaptureFixture) -> None:
    core.keep("http-01", "", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", "[::1]:-1")
    core.hold()
    assert caplog.messages == []


def test_a_lack_of_descriptors_is_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)

    def accept(_: socket.socket) -> tuple[socket.socket, object]:
        raise OSError(24, "Too many open files")

    with closing(HeldListeners()) as held:
        held.keep({"tls-alpn-01": [address(port)]})
        with socket.create_connection((LOOPBACK, port), timeout=5):
            monkeypatch.setattr(socket.socket, "accept", accept)
            held.turn_away()
    assert pauses == [0.05]
    assert "Too many open files" in caplog.text
