"""The monitor's listeners on real sockets, with clients and operators who do everything wrong."""

from __future__ import annotations

import base64
import http.client
import os
import socket
import ssl
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import bcrypt
import pytest

from gatecert.model import WebAccess
from harness.certificates import write_self_signed
from harness.ports import free_port
from harness.served_listeners import LARGE, SMALL, ServedListeners
from harness.users import make_user
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPEN = WebAccess()
LOOPBACK = "127.0.0.1"
NOBODY = 65_534
MB = 1 << 20


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedListeners]:
    with ServedListeners(tmp_path / "log") as process:
        yield process


@pytest.fixture
def port(served: ServedListeners) -> int:
    """Serve without TLS and passwords."""
    port = free_port()
    (status,) = served.keep((f"{LOOPBACK}:{port}", OPEN))
    assert not status["problem"]
    return port


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def connect(clients: ExitStack, port: int, data: bytes = b"") -> socket.socket:
    client = clients.enter_context(socket.create_connection((LOOPBACK, port), 10))
    client.sendall(data)
    return client


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\n\r\n".encode()


def scrape(
    port: int, path: str = "/metrics", tls: ssl.SSLContext | None = None, **headers: str
) -> tuple[int, bytes]:
    connection = (
        http.client.HTTPSConnection(LOOPBACK, port, timeout=10, context=tls)
        if tls
        else http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    )
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def read_to_the_end(client: socket.socket) -> bytes:
    data = b""
    with suppress(ConnectionError):
        while part := client.recv(65_536):
            data += part
    return data


# --------------------------------------------------------------------- clients


def test_500_silent_clients_keep_no_scrape_out(
    served: ServedListeners, port: int, clients: ExitStack
) -> None:
    before = served.usage()
    for number in range(500):
        connect(clients, port, b"GET /metrics HT" if number % 2 else b"")
    start = time.monotonic()
    assert scrape(port) == (200, SMALL)
    assert time.monotonic() - start < 1
    after = served.usage()
    assert after.descriptors - before.descriptors <= 257
    assert after.memory - before.memory < 8 * MB


def test_a_process_without_descriptors_makes_room(
    served: ServedListeners, port: int, clients: ExitStack
) -> None:
    served.allow_descriptors(100)
    for _ in range(300):
        connect(clients, port)
    assert scrape(port) == (200, SMALL)


def test_clients_that_never_read_cost_little_and_keep_nobody_out(
    served: ServedListeners, port: int, clients: ExitStack
) -> None:
    scrape(port, "/large")
    before = served.usage()
    for _ in range(200):
        connect(clients, port, get("/large") * 3)
    time.sleep(1)
    assert scrape(port, "/large") == (200, LARGE)
    after = served.usage()
    assert after.memory - before.memory < 40 * MB, after


def test_clients_that_have_all_places_lose_them_to_new_ones(port: int, clients: ExitStack) -> None:
    for _ in range(300):
        connect(clients, port, get("/large"))
    assert scrape(port) == (200, SMALL)


def test_a_client_that_sends_byte_by_byte_has_ten_seconds(port: int, clients: ExitStack) -> None:
    client = connect(clients, port)
    start = time.monotonic()
    received = b""
    client.settimeout(0.2)
    with suppress(ConnectionError):
        for byte in get("/" + "a" * 100):
            client.sendall(bytes([byte]))
            with suppress(TimeoutError):
                received += client.recv(1000)
            if received:
                break
    assert received.startswith(b"HTTP/1.1 408 ")
    assert 9 < time.monotonic() - start < 12


def test_a_client_that_never_reads_is_cut_off_after_thirty_seconds(
    served: ServedListeners, port: int, clients: ExitStack
) -> None:
    idle = served.usage().descriptors
    client = connect(clients, port, get("/large"))
    wait_until(lambda: served.usage().descriptors > idle, "the connection")
    wait_until(lambda: served.usage().descriptors == idle, "its end", seconds=35)
    assert len(read_to_the_end(client)) < len(LARGE)


def test_streams_end_with_their_clients(
    served: ServedListeners, port: int, clients: ExitStack
) -> None:
    before = served.usage().descriptors
    streams = [connect(clients, port, get("/events")) for _ in range(32)]
    for stream in streams:
        assert b"200 OK" in stream.recv(1000)
    status, _ = scrape(port, "/events")
    assert status == 503
    for stream in streams:
        stream.close()
    wait_until(lambda: served.usage().descriptors == before, "closed connections")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600),
        b"\0" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000,
        b"GET /" + b"A" * 1_000_000,
        b"GET /\x1b[31m<script>\n\n\n",
        b"\r\n" * 50_000,
    ],
)
def test_garbage_is_refused_and_costs_one_connection(
    served: ServedListeners, port: int, clients: ExitStack, garbage: bytes
) -> None:
    client = connect(clients, port)
    client.settimeout(15)  # the server has 10 s for what may become a request
    with suppress(ConnectionError):
        client.sendall(garbage)
    answer = b""
    with suppress(ConnectionError):
        answer = client.recv(1000)
    assert not answer or answer.startswith(b"HTTP/1.1 4")
    assert scrape(port) == (200, SMALL)
    assert served.log() == ""


def test_an_idle_process_sleeps(served: ServedListeners, port: int, clients: ExitStack) -> None:
    connection = connect(clients, port, get("/metrics"))
    assert connection.recv(1000)
    time.sleep(0.5)
    before = served.usage()
    time.sleep(2)
    after = served.usage()
    assert after.threads == 1
    assert after.wakeups == before.wakeups
    assert after.seconds == before.seconds


# --------------------------------------------------------------------- addresses


def test_a_port_that_is_taken_is_told_and_used_once_it_is_free(
    served: ServedListeners, clients: ExitStack
) -> None:
    port = free_port()
    other = clients.enter_context(socket.create_server((LOOPBACK, port)))
    (status,) = served.keep((f"{LOOPBACK}:{port}", OPEN))
    assert f"(pid {os.getpid()})" in status["problem"]
    assert "metrics.listen" in status["fix"]
    other.close()
    (status,) = served.statuses()
    assert not status["problem"]
    assert scrape(port) == (200, SMALL)
    assert served.log().count("\n") <= 1  # once, however often it was tried


def test_a_socket_in_a_directory_that_may_not_be_written(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    tmp_path.chmod(0o755)
    directory.chmod(0o555)
    with ServedListeners(tmp_path / "log", NOBODY if os.geteuid() == 0 else 0) as served:
        (status,) = served.keep((f"unix:{directory}/metrics", OPEN))
    assert "may not be written" in status["problem"] or "permission" in status["problem"]
    assert "metrics.listen" in status["fix"]


def test_a_unix_socket(served: ServedListeners, tmp_path: Path, clients: ExitStack) -> None:
    path = tmp_path / "metrics"
    served.keep((f"unix:{path}", OPEN))
    client = clients.enter_context(socket.socket(socket.AF_UNIX))
    client.connect(str(path))
    client.sendall(get("/metrics"))
    assert client.recv(1000).endswith(SMALL)


# --------------------------------------------------------------------- TLS and passwords


def pair(directory: Path, name: str) -> tuple[Path, Path]:
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    write_self_signed(certificate, key, [LOOPBACK])
    return certificate, key


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def test_a_renewed_certificate_is_used_at_once(
    served: ServedListeners, tmp_path: Path, clients: ExitStack
) -> None:
    certificate, key = pair(tmp_path, "live")
    old = trusting(certificate)
    port = free_port()
    served.keep((f"{LOOPBACK}:{port}", WebAccess(str(certificate), str(key))))
    assert scrape(port, tls=old) == (200, SMALL)
    kept = http.client.HTTPSConnection(LOOPBACK, port, timeout=5, context=old)
    clients.callback(kept.close)
    kept.request("GET", "/metrics")
    assert kept.getresponse().read() == SMALL

    new_certificate, new_key = pair(tmp_path, "new")
    new_certificate.rename(certificate)
    assert scrape(port, tls=old) == (200, SMALL)  # half renewed: the pair before
    new_key.rename(key)
    assert scrape(port, tls=trusting(certificate)) == (200, SMALL)
    with pytest.raises(ssl.SSLCertVerificationError):
        scrape(port, tls=old)
    kept.request("GET", "/metrics")
    assert kept.getresponse().read() == SMALL
    assert "does not belong to the certificate" in served.log()


def test_large_responses_and_idle_clients_over_tls(
    served: ServedListeners, tmp_path: Path, clients: ExitStack
) -> None:
    certificate, key = pair(tmp_path, "live")
    port = free_port()
    served.keep((f"{LOOPBACK}:{port}", WebAccess(str(certificate), str(key))))
    tls = trusting(certificate)
    scrape(port, "/large", tls)
    before = served.usage()
    for _ in range(300):
        connect(clients, port)  # and no handshake
    slow = [
        clients.enter_context(tls.wrap_socket(connect(clients, port), server_hostname=LOOPBACK))
        for _ in range(20)
    ]
    for each in slow:
        each.sendall(get("/large"))
    time.sleep(1)
    assert scrape(port, "/large", tls) == (200, LARGE)
    after = served.usage()
    assert after.memory - before.memory < 40 * MB, after


def test_plain_http_on_a_port_with_tls_is_refused(
    served: ServedListeners, tmp_path: Path, clients: ExitStack
) -> None:
    certificate, key = pair(tmp_path, "live")
    port = free_port()
    served.keep((f"{LOOPBACK}:{port}", WebAccess(str(certificate), str(key))))
    assert not read_to_the_end(connect(clients, port, get("/metrics"))).startswith(b"HTTP/")
    assert scrape(port, tls=trusting(certificate)) == (200, SMALL)


def test_client_certificates(served: ServedListeners, tmp_path: Path) -> None:
    certificate, key = pair(tmp_path, "live")
    user = make_user(tmp_path / "user", "prometheus")
    port = free_port()
    access = WebAccess(
        str(certificate),
        str(key),
        str(user.authority),
        require_client=True,
        minimum_version="TLS13",
    )
    served.keep((f"{LOOPBACK}:{port}", access))
    tls = trusting(certificate)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        scrape(port, tls=tls)
    tls.load_cert_chain(user.certificate, user.private_key)
    assert scrape(port, tls=tls) == (200, SMALL)


def test_passwords(served: ServedListeners) -> None:
    port = free_port()
    hashed = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(10)).decode()
    served.keep((f"{LOOPBACK}:{port}", WebAccess(users={"prometheus": hashed})))

    def basic(password: str) -> str:
        return "Basic " + base64.b64encode(f"prometheus:{password}".encode()).decode()

    assert scrape(port)[0] == 401
    assert scrape(port, Authorization=basic("wrong"))[0] == 401
    assert scrape(port, Authorization=basic("correct horse")) == (200, SMALL)
    start = time.monotonic()
    for _ in range(20):
        assert scrape(port, Authorization=basic("correct horse"))[0] == 200
    assert time.monotonic() - start < 1  # bcrypt would take 2 s
    assert "correct" not in served.log()
    assert served.usage().threads == 1
