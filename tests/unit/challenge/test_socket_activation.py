"""Sockets from systemd, and the responder that answers on them permanently."""

from __future__ import annotations

import http.client
import logging
import os
import socket
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from gatecert.challenge.http01 import Http01Solver
from gatecert.challenge.listening import listen, serves_token
from gatecert.challenge.socket_activation import SocketActivatedResponder, inherited_sockets
from gatecert.challenge.solver import Challenge
from gatecert.config.schema.challenge import Http01Settings
from gatecert.deadline import Deadline
from gatecert.model import Endpoint, Identifier, IdentifierType

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from tests.fakes.token_store import Tokens

pytestmark = pytest.mark.enable_socket

FIRST = 200  # above the descriptors of pytest
CHALLENGE = Challenge("http-01", Identifier(IdentifierType.DNS, "a.example"), "token", "token.key")


@pytest.fixture
def resources() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def listener(resources: ExitStack) -> socket.socket:
    """Open a socket as systemd does, without SO_REUSEPORT."""
    return resources.enter_context(socket.create_server(("127.0.0.1", 0)))


class Notices:
    """Passes on which responses were fetched, as core and worker do."""

    def __init__(self) -> None:
        self.expected: dict[str, threading.Event] = {}

    def expect(self, token: str, fetched: threading.Event) -> None:
        self.expected[token] = fetched

    def forget(self, token: str) -> None:
        self.expected.pop(token, None)

    def fetched(self, token: str) -> None:
        if token in self.expected:
            self.expected[token].set()


@pytest.fixture
def notices() -> Notices:
    return Notices()


@pytest.fixture
def activated(
    resources: ExitStack, listener: socket.socket, tokens: Tokens, notices: Notices
) -> SocketActivatedResponder:
    responder = SocketActivatedResponder(
        [listener], partial(tokens.token, "http-01"), notices.fetched
    )
    resources.callback(responder.stop)
    return responder


@pytest.fixture
def endpoint(listener: socket.socket) -> Endpoint:
    return Endpoint(*listener.getsockname())


def place(resources: ExitStack, number: int, descriptor: int) -> None:
    """Move a descriptor to the number that systemd would use."""
    os.dup2(descriptor, number)
    resources.callback(_close, number)


def _close(number: int) -> None:
    try:
        os.close(number)
    except OSError:
        return


def variables(*names: str, process: int | None = None) -> dict[str, str]:
    return {
        "LISTEN_PID": str(process or os.getpid()),
        "LISTEN_FDS": str(len(names)),
        "LISTEN_FDNAMES": ":".join(names),
        "PATH": "/bin",
    }


def fetch(endpoint: Endpoint, token: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=5)
    try:
        connection.request("GET", f"/.well-known/acme-challenge/{token}")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_sockets_named_http_01_are_used(resources: ExitStack, listener: socket.socket) -> None:
    place(resources, FIRST, listener.fileno())
    environment = variables("http-01")

    (found,) = inherited_sockets(environment, first=FIRST)

    assert found.getsockname() == listener.getsockname()
    assert not os.get_inheritable(found.fileno())
    assert environment == {"PATH": "/bin"}
    found.close()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        variables("http-01", process=1),
        {**variables("http-01"), "LISTEN_FDS": "many"},
        {"LISTEN_FDS": "1"},
    ],
)
def test_sockets_for_another_process_are_ignored(environment: dict[str, str]) -> None:
    assert inherited_sockets(environment, first=FIRST) == []
    assert not any(name.startswith("LISTEN_") for name in environment)


def test_sockets_of_another_name_or_type_are_ignored_with_a_warning(
    resources: ExitStack, listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    datagrams = resources.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    reading, writing = os.pipe()
    resources.callback(os.close, reading)
    resources.callback(os.close, writing)
    place(resources, FIRST, listener.fileno())
    place(resources, FIRST + 1, datagrams.fileno())
    place(resources, FIRST + 2, reading)
    place(resources, FIRST + 3, listener.fileno())
    environment = variables("varlink", "http-01", "http-01", "unnamed")
    environment["LISTEN_FDNAMES"] = "varlink:http-01:http-01"

    with caplog.at_level(logging.WARNING):
        assert inherited_sockets(environment, first=FIRST) == []

    assert [record.args for record in caplog.records] == [
        ("varlink", 0),
        ("http-01", 1),
        ("http-01", 2),
        ("", 3),
    ]


def test_requests_are_answered_before_and_after_a_validation(
    activated: SocketActivatedResponder, notices: Notices, tokens: Tokens, endpoint: Endpoint
) -> None:
    assert activated is not None
    solver = Http01Solver(Http01Settings(), tokens, notices)

    before = fetch(endpoint, CHALLENGE.token)
    solver.present(CHALLENGE)
    solver.wait(CHALLENGE, Deadline.after(1))
    during = fetch(endpoint, CHALLENGE.token)
    seen = solver.wait_for_request(CHALLENGE, 5)
    solver.clean_up(CHALLENGE)
    after = fetch(endpoint, CHALLENGE.token)

    assert before[0] == after[0] == 404
    assert during == (200, b"token.key")
    assert seen


def test_the_daemon_answers_for_a_command(
    activated: SocketActivatedResponder, tokens: Tokens, endpoint: Endpoint
) -> None:
    command = Http01Solver(Http01Settings(listen=(endpoint,)), tokens)

    command.present(CHALLENGE)
    fetched = fetch(endpoint, CHALLENGE.token)
    command.clean_up(CHALLENGE)

    assert activated is not None
    assert fetched == (200, b"token.key")
    assert fetch(endpoint, CHALLENGE.token)[0] == 404


def test_a_port_that_cannot_be_shared_is_left_to_the_daemon(
    activated: SocketActivatedResponder, tokens: Tokens, endpoint: Endpoint
) -> None:
    tokens.put_token("http-01", "mine", "mine.key")

    found = listen([endpoint], lambda where: serves_token(where, "mine", "mine.key"))

    assert activated is not None
    assert found == []


def test_a_stopped_responder_leaves_the_port_open(
    resources: ExitStack, listener: socket.socket, tokens: Tokens, endpoint: Endpoint
) -> None:
    SocketActivatedResponder([listener.dup()], partial(tokens.token, "http-01"), print).stop()

    visitor = resources.enter_context(socket.create_connection((endpoint.host, endpoint.port), 5))

    assert visitor.getpeername() == (endpoint.host, endpoint.port)


def test_addresses_are_logged_in_configuration_syntax(
    resources: ExitStack, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    ipv6 = resources.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
    port = ipv6.getsockname()[1]

    with caplog.at_level(logging.INFO):
        SocketActivatedResponder([ipv6], partial(tokens.token, "http-01"), print).stop()

    assert f"addresses=[::1]:{port}" in caplog.text
