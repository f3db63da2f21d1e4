from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.loopback import LOOPBACK, exchange, fetch

from gatecert.challenge.bounded_server import ServerLimits, network_of
from gatecert.challenge.http_responder import MAX_REQUEST, PREFIX, http_responder, respond
from gatecert.errors import StorageError
from gatecert.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"  # noqa: S105 - the example of RFC 8555
TEXT = f"{TOKEN}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
REQUEST = f"GET {PREFIX}{TOKEN} HTTP/1.1\r\n\r\n".encode()


def lookup(token: str) -> str | None:
    return TEXT if token == TOKEN else None


def answer(request: str) -> tuple[str, str, str | None]:
    """Return status line, body and token of the response to a request."""
    response, token = respond(request.encode("latin-1"), lookup)
    head, body = response.decode().split("\r\n\r\n")
    return head.split("\r\n")[0], body, token


# --------------------------------------------------------------------------- respond


@pytest.mark.parametrize(
    "request_line",
    [
        f"GET {PREFIX}{TOKEN} HTTP/1.1",
        f"GET {PREFIX}{TOKEN} HTTP/1.0",
        f"GET http://vpn.example.com{PREFIX}{TOKEN} HTTP/1.1",
        f"GET {PREFIX}{TOKEN}?cache=no HTTP/1.1",
    ],
)
def test_a_response_is_served(request_line: str) -> None:
    assert answer(f"{request_line}\r\nHost: vpn.example.com") == ("HTTP/1.1 200 OK", TEXT, TOKEN)


def test_head_is_answered_without_a_body() -> None:
    response, token = respond(f"HEAD {PREFIX}{TOKEN} HTTP/1.1".encode(), lookup)

    assert f"Content-Length: {len(TEXT)}".encode() in response
    assert response.endswith(b"\r\n\r\n")
    assert token == TOKEN


@pytest.mark.parametrize(
    "path",
    [
        "/",
        PREFIX,
        f"{PREFIX}unknown",
        f"{PREFIX}{TOKEN}/",
        f"{PREFIX}../acme-challenge/{TOKEN}",
        f"{PREFIX}%2e%2e/{TOKEN}",
        f"/{TOKEN}",
        TOKEN,
        f"/x{PREFIX}{TOKEN}",
        f"{PREFIX.upper()}{TOKEN}",
    ],
)
def test_other_paths_are_not_found(path: str) -> None:
    assert answer(f"GET {path} HTTP/1.1") == ("HTTP/1.1 404 Not Found", "", None)


@pytest.mark.parametrize(
    "line",
    ["", "GET", f"GET {PREFIX}{TOKEN}", "GET / SPDY/3", "G E T / HTTP/1.1", "GET /\xe4 HTTP/1.1",
     "GET http://[/ HTTP/1.1"],
)  # fmt: skip
def test_a_malformed_request_line_is_a_bad_request(line: str) -> None:
    assert answer(line) == ("HTTP/1.1 400 Bad Request", "", None)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get"])
def test_only_get_and_head_are_allowed(method: str) -> None:
    response, token = respond(f"{method} {PREFIX}{TOKEN} HTTP/1.1".encode(), lookup)

    assert response.startswith(b"HTTP/1.1 405 ")
    assert b"Allow: GET, HEAD\r\n" in response
    assert token is None


def test_no_header_reveals_the_software() -> None:
    response, _ = respond(f"GET {PREFIX}{TOKEN} HTTP/1.1".encode(), lookup)

    head = response.split(b"\r\n\r\n")[0].lower()
    assert b"server:" not in head
    assert b"gatecert" not in head
    assert b"python" not in head
    assert b"content-type: text/plain\r\n" in head + b"\r\n"


@given(st.binary(max_size=300))
def test_any_request_gets_a_response(head: bytes) -> None:
    response, token = respond(head, lookup)

    assert response.startswith(b"HTTP/1.1 ")
    assert token in {None, TOKEN}


# --------------------------------------------------------------------------- http_responder


class Running:
    """A responder on its own port."""

    def __init__(self, limits: ServerLimits) -> None:
        self.fetched: list[str] = []
        self.listener = socket.create_server((LOOPBACK, 0))
        self.endpoint = Endpoint(LOOPBACK, self.listener.getsockname()[1])
        self.failure: Exception | None = None
        self.text = TEXT
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        self.responder = http_responder([self.listener], self.lookup, self.fetched.append, limits)

    def lookup(self, token: str) -> str | None:
        if self.failure is not None:
            raise self.failure
        self.asked.set()
        self.go_on.wait()
        return self.text if token == TOKEN else None

    def connect(self, source: str = LOOPBACK) -> socket.socket:
        where = (LOOPBACK, self.endpoint.port)
        return socket.create_connection(where, timeout=5, source_address=(source, 0))


@pytest.fixture
def limits() -> ServerLimits:
    """Limits of ``running``, to be overridden by parameters."""
    return ServerLimits()


@pytest.fixture
def running(limits: ServerLimits) -> Iterator[Running]:
    it = Running(limits)
    yield it
    it.responder.stop()


def is_closed(channel: socket.socket) -> bool:
    try:
        return channel.recv(1) == b""
    except ConnectionResetError:
        return True


def rest(channel: socket.socket) -> bytes:
    """Return what a connection brings until it is closed."""
    received = b""
    while piece := channel.recv(4096):
        received += piece
    return received


@pytest.mark.enable_socket
def test_a_request_gets_a_short_response(running: Running) -> None:
    status, body, headers = fetch(running.endpoint, PREFIX + TOKEN)

    assert (status, body) == (200, TEXT.encode())
    assert len(body) < 128  # Let's Encrypt's limit
    assert "Connection: close" in headers


@pytest.mark.enable_socket
def test_a_fetched_token_is_reported(running: Running) -> None:
    exchange(running.endpoint, REQUEST)

    assert running.fetched == [TOKEN]


@pytest.mark.enable_socket
def test_another_path_reports_no_token(running: Running) -> None:
    assert exchange(running.endpoint, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 ")
    assert running.fetched == []


@pytest.mark.enable_socket
def test_a_request_may_arrive_byte_by_byte(running: Running) -> None:
    request = f"GET {PREFIX}{TOKEN} HTTP/1.1\r\nHost: a\r\n\r\n".encode()

    response = exchange(running.endpoint, *(bytes([byte]) for byte in request))

    assert response.endswith(TEXT.encode())


@pytest.mark.enable_socket
def test_a_request_that_is_too_long_is_refused(running: Running) -> None:
    response = exchange(running.endpoint, b"GET / HTTP/1.1\r\nX: ", b"x" * MAX_REQUEST)

    assert response.startswith(b"HTTP/1.1 431 ")


@pytest.mark.enable_socket
@pytest.mark.parametrize("limits", [ServerLimits(connection_seconds=0.05)])
def test_idle_and_slow_connections_are_closed(running: Running) -> None:
    with running.connect() as silent, running.connect() as slow:
        slow.sendall(b"GET /")
        assert is_closed(silent)
        assert is_closed(slow)


@pytest.mark.enable_socket
def test_aborted_connections_do_not_stop_the_server(running: Running) -> None:
    with running.connect() as leaving:
        leaving.sendall(b"GET /")
    with running.connect() as resetting:
        resetting.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        resetting.sendall(b"GET /")

    assert fetch(running.endpoint, PREFIX + TOKEN)[0] == 200


@pytest.mark.enable_socket
@pytest.mark.parametrize("limits", [ServerLimits(connections=3)])
def test_idle_connections_do_not_block_the_authority(running: Running) -> None:
    with contextlib.ExitStack() as crowd:
        idlers = [crowd.enter_context(running.connect()) for _ in range(5)]

        assert fetch(running.endpoint, PREFIX + TOKEN)[0] == 200
        assert is_closed(idlers[0])


@pytest.mark.enable_socket
@pytest.mark.parametrize("limits", [ServerLimits(connections=3)])
def test_a_flood_from_one_address_displaces_only_itself(running: Running) -> None:
    with contextlib.ExitStack() as flood, running.connect() as slow:
        flooding = [flood.enter_context(running.connect("127.0.0.2")) for _ in range(10)]
        flooding[-1].sendall(b"GET /")
        assert is_closed(flooding[0])

        slow.sendall(REQUEST)
        received = rest(slow)
        assert received.endswith(TEXT.encode())


@pytest.mark.enable_socket
@pytest.mark.parametrize("limits", [ServerLimits(connections=3), ServerLimits(of_network=3)])
def test_requests_that_came_while_the_server_was_kept_from_its_work_are_answered(
    running: Running,
) -> None:
    running.go_on.clear()
    with contextlib.ExitStack() as visits:
        visitors = []
        for _ in range(13):
            visitors.append(visits.enter_context(running.connect()))
            visitors[-1].sendall(REQUEST)
            assert running.asked.wait(5)
        running.go_on.set()
        for visitor in visitors:
            assert rest(visitor).endswith(TEXT.encode())


@pytest.mark.enable_socket
@pytest.mark.parametrize("limits", [ServerLimits(connections=9, of_network=2)])
def test_one_address_never_has_all_connections(running: Running) -> None:
    with contextlib.ExitStack() as flood, running.connect() as slow:
        flooding = [flood.enter_context(running.connect("127.0.0.2")) for _ in range(4)]
        *closed, third, fourth = flooding
        assert [is_closed(each) for each in closed] == [True, True]

        for each in (slow, third, fourth):
            each.sendall(REQUEST)
            assert each.recv(4096)


@pytest.mark.enable_socket
@pytest.mark.parametrize("limits", [ServerLimits(connections=9, of_network=2)])
def test_the_last_of_many_connections_is_not_one_too_many(running: Running) -> None:
    with contextlib.ExitStack() as flood, running.connect() as slow:
        flooding = [flood.enter_context(running.connect("127.0.0.2"))]
        running.go_on.clear()
        slow.sendall(REQUEST)
        assert running.asked.wait(5)
        flooding += [flood.enter_context(running.connect("127.0.0.2")) for _ in range(3)]
        running.go_on.set()
        *closed, third, fourth = flooding
        assert [is_closed(each) for each in closed] == [True, True]

        for each in (third, fourth):
            each.sendall(REQUEST)
            assert each.recv(4096)


@pytest.mark.enable_socket
@pytest.mark.parametrize("limits", [ServerLimits(silent_seconds=0.05)])
def test_only_a_connection_that_has_begun_may_take_its_time(running: Running) -> None:
    with running.connect() as silent, running.connect() as slow:
        slow.sendall(b"GET /")
        assert is_closed(silent)

        slow.sendall(b" HTTP/1.1\r\n\r\n")
        assert slow.recv(4096)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_addresses_of_one_subscriber_count_as_one_network(one: str, other: str, same: bool) -> None:  # noqa: FBT001 - a parameter
    assert (network_of(one) == network_of(other)) is same


@pytest.mark.enable_socket
def test_parallel_requests_are_served(running: Running) -> None:
    threads = [
        threading.Thread(target=exchange, args=(running.endpoint, REQUEST)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert running.fetched == [TOKEN] * 20


@pytest.mark.enable_socket
def test_a_store_error_closes_one_connection(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.failure = StorageError("input/output error")
    assert exchange(running.endpoint, REQUEST) == b""
    assert "cannot read the response: input/output error" in caplog.text

    running.failure = None
    assert fetch(running.endpoint, PREFIX + TOKEN)[0] == 200


@pytest.mark.enable_socket
def test_a_long_response_is_sent_in_several_writes(running: Running) -> None:
    huge = running.text = "x" * (1 << 24)
    with running.connect() as channel:
        channel.sendall(REQUEST)
        time.sleep(0.05)  # until the responder's socket is full
        size = 0
        while piece := channel.recv(1 << 20):
            size += len(piece)

    assert size > len(huge)


@pytest.mark.enable_socket
def test_a_stopped_server_does_not_listen(running: Running) -> None:
    started = time.monotonic()
    running.responder.stop()

    assert time.monotonic() - started < 1
    with pytest.raises(ConnectionRefusedError):
        running.connect()
    running.responder.stop()  # may be repeated


@pytest.mark.enable_socket
def test_open_connections_are_served_after_stop(running: Running) -> None:
    with running.connect() as visitor:
        running.responder.stop()
        visitor.sendall(REQUEST)
        received = rest(visitor)

    assert received.endswith(TEXT.encode())


@pytest.mark.enable_socket
@pytest.mark.parametrize("limits", [ServerLimits(drain_seconds=0.05)])
def test_stop_does_not_wait_for_idle_connections(running: Running) -> None:
    with running.connect() as idler:
        running.responder.stop()
        assert is_closed(idler)


@pytest.mark.enable_socket
def test_a_shortage_of_file_descriptors_is_temporary(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = socket.socket.accept
    shortages = iter([OSError(24, "Too many open files")])

    def accept(listener: socket.socket) -> object:
        for shortage in shortages:
            raise shortage
        return real(listener)

    monkeypatch.setattr(socket.socket, "accept", accept)

    assert fetch(running.endpoint, PREFIX + TOKEN)[0] == 200
    assert "Too many open files" in caplog.text
