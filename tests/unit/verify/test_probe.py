from __future__ import annotations

import socket
import ssl
import time
from threading import Event
from typing import TYPE_CHECKING

import pytest
from OpenSSL import SSL
from tests.fakes.keys import rsa_key

from gatecert.model import Endpoint, FailureKind
from gatecert.verify.connect import ProbeError
from gatecert.verify.probe import _read, probe
from gatecert.verify.served_chain import ProbeFailure, ServedChain

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.listeners import Authority, TLSServer

pytestmark = pytest.mark.enable_socket

NAME = "gate.example.com"
PATIENT = 5.0
SHORT = 0.15


def served(answer: ServedChain | ProbeFailure) -> ServedChain:
    assert isinstance(answer, ServedChain), answer
    return answer


def failed(answer: ServedChain | ProbeFailure) -> ProbeFailure:
    assert isinstance(answer, ProbeFailure), answer
    return answer


def says(text: bytes, *, again_after: float | None = None) -> Callable[..., None]:
    """Return a handler that always sends the same, once or repeatedly."""

    def handle(stream: socket.socket, _: int, stopping: Event) -> None:
        stream.sendall(text)
        while again_after is not None and not stopping.wait(again_after):
            stream.sendall(text)
        stopping.wait(PATIENT)

    return handle


def silent(_: socket.socket, __: int, stopping: Event) -> None:
    stopping.wait(PATIENT)


# --------------------------------------------------------------------------- certificates


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_the_leaf_and_the_chain_are_returned(
    authority: Authority,
    server: TLSServer,
    listen: Callable[..., Endpoint],
    version: ssl.TLSVersion,
    host: str,
) -> None:
    leaf = authority.leaf()
    context = server.context(leaf)
    context.minimum_version = context.maximum_version = version
    listener = listen(server.handler(context), "127.0.0.1" if host == "localhost" else host)
    endpoint = Endpoint(host, listener.port)

    answer = served(probe(endpoint, NAME, timeout=PATIENT))

    assert answer == ServedChain(
        endpoint=endpoint,
        fingerprint=leaf.fingerprint,
        chain_fingerprints=(authority.middle.fingerprint,),
        name=NAME,
        issuer="CN=intermediate of the test",
        not_after=leaf.certificate.not_valid_after_utc,
        ends_in_root=False,
    )
    assert server.asked == [NAME]


def test_a_root_at_the_end_is_detected(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    leaf = authority.leaf()
    endpoint = listen(server.handler(server.context(leaf, leaf.above)))
    answer = served(probe(endpoint, NAME, timeout=PATIENT))
    assert answer.ends_in_root
    assert answer.chain_fingerprints == (authority.middle.fingerprint, authority.root.fingerprint)


def test_a_weak_self_signed_key_is_accepted(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    weak = rsa_key(1024)
    leaf = authority.leaf(key=weak)
    handler = server.handler(server.context(leaf, weak_key=True))
    assert served(probe(listen(handler), NAME, timeout=PATIENT)).fingerprint == leaf.fingerprint


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("*.example.com", "gatecert.example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_the_server_name(
    authority: Authority,
    server: TLSServer,
    listen: Callable[..., Endpoint],
    name: str,
    asked: str | None,
) -> None:
    endpoint = listen(server.handler(server.context(authority.leaf())))
    served(probe(endpoint, name, timeout=PATIENT))
    assert server.asked == [asked]


@pytest.mark.parametrize(
    ("version", "ending"),
    [
        (ssl.TLSVersion.TLSv1_2, "PEER_DID_NOT_RETURN_A_CERTIFICATE"),
        (ssl.TLSVersion.TLSv1_3, "PEER_DID_NOT_RETURN_A_CERTIFICATE"),
    ],
)
def test_a_server_that_requires_a_client_certificate_can_be_probed(
    authority: Authority,
    server: TLSServer,
    listen: Callable[..., Endpoint],
    version: ssl.TLSVersion,
    ending: str,
) -> None:
    leaf = authority.leaf()
    endpoint = listen(server.handler(server.client_certificate_demanded(leaf, version)))
    answer = served(probe(endpoint, NAME, timeout=PATIENT))
    assert answer.fingerprint == leaf.fingerprint
    assert answer.chain_fingerprints == (authority.middle.fingerprint,)
    server.wait_for_end()
    assert server.ended == [ending]


def test_the_session_is_closed_cleanly_at_once(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    endpoint = listen(server.handler(server.context(authority.leaf())))
    started = time.monotonic()
    served(probe(endpoint, NAME, timeout=PATIENT))
    assert time.monotonic() - started < 1.0
    server.wait_for_end()
    assert server.ended == ["clean"]


# --------------------------------------------------------------------------- failures


def test_a_closed_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = Endpoint("127.0.0.1", listener.getsockname()[1])
    answer = failed(probe(endpoint, NAME, timeout=PATIENT))
    assert (answer.kind, answer.endpoint) == (FailureKind.REFUSED, endpoint)
    assert answer.detail == "refuses connections: nothing listens there"


def test_an_unreachable_address() -> None:
    # Linux has no route to the documentation's broadcast address, whatever its network is.
    answer = failed(probe(Endpoint("255.255.255.255", 443), NAME, timeout=PATIENT))
    assert answer.kind is FailureKind.UNREACHABLE
    assert answer.detail.startswith("cannot be reached (")


def test_a_silent_server_ends_at_the_deadline(listen: Callable[..., Endpoint]) -> None:
    started = time.monotonic()
    answer = failed(probe(listen(silent), NAME, timeout=SHORT))
    assert time.monotonic() - started < SHORT + 0.5
    assert answer.kind is FailureKind.TIMEOUT
    assert answer.detail == ("accepts connections but did not finish a TLS handshake within 0.15 s")


def test_a_slow_server_ends_at_the_deadline(listen: Callable[..., Endpoint]) -> None:
    record_of_16_kib = b"\x16\x03\x03\x40\x00"
    drip = says(record_of_16_kib[:1], again_after=0.01)
    tardy = says(record_of_16_kib, again_after=0.01)
    for handler in (drip, tardy):
        started = time.monotonic()
        answer = failed(probe(listen(handler), NAME, timeout=SHORT))
        assert time.monotonic() - started < SHORT + 0.5
        assert answer.kind in {FailureKind.TIMEOUT, FailureKind.NOT_TLS}


def test_no_time_left_is_a_timeout() -> None:
    answer = failed(probe(Endpoint("127.0.0.1", 9), NAME, timeout=0.0))
    assert answer.kind is FailureKind.TIMEOUT


def test_a_server_that_speaks_http(listen: Callable[..., Endpoint]) -> None:
    answer = failed(probe(listen(says(b"HTTP/1.1 400 Bad Request\r\n\r\n")), NAME, timeout=PATIENT))
    assert answer.kind is FailureKind.NOT_TLS
    assert answer.detail == "answers 'HTTP/1.1 400 Bad Request' instead of TLS"


def test_a_server_that_never_stops_sending(listen: Callable[..., Endpoint]) -> None:
    """Check that OpenSSL or the size limit ends a stream of empty handshake records."""

    def handle(stream: socket.socket, _: int, stopping: Event) -> None:
        while not stopping.is_set():
            stream.sendall(b"\x16\x03\x03\x00\x04\x00\x00\x00\x00" * 1000)  # HelloRequest

    answer = failed(probe(listen(handle), NAME, timeout=PATIENT))
    assert answer.kind in {FailureKind.HANDSHAKE, FailureKind.NOT_TLS}


def test_a_server_that_closes_at_once(listen: Callable[..., Endpoint]) -> None:
    def handle(stream: socket.socket, _: int, __: Event) -> None:
        stream.recv(4096)

    answer = failed(probe(listen(handle), NAME, timeout=PATIENT))
    assert answer.kind is FailureKind.RESET
    assert answer.detail.startswith("closes the connection at once")


def test_a_server_that_closes_in_the_middle(listen: Callable[..., Endpoint]) -> None:
    def handle(stream: socket.socket, _: int, __: Event) -> None:
        stream.recv(4096)
        stream.sendall(b"\x16\x03\x03\x00\x50\x02")

    answer = failed(probe(listen(handle), NAME, timeout=PATIENT))
    assert answer.kind is FailureKind.RESET
    assert answer.detail == "closed the connection in the middle of the TLS handshake"


def test_a_server_that_resets(listen: Callable[..., Endpoint]) -> None:
    def handle(stream: socket.socket, _: int, __: Event) -> None:
        stream.recv(10)  # leaving the rest unread makes the close a reset

    answer = failed(probe(listen(handle), NAME, timeout=PATIENT))
    assert answer.kind is FailureKind.RESET
    assert answer.detail.startswith("broke the connection during")


def test_a_server_that_refuses_the_name(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    context = server.context(authority.leaf())
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    answer = failed(probe(listen(server.handler(context)), NAME, timeout=PATIENT))
    assert answer.kind is FailureKind.HANDSHAKE
    assert answer.detail.startswith(f"refuses the TLS handshake for the server name {NAME} (")


def test_an_alert_to_a_handshake_without_a_name(listen: Callable[..., Endpoint]) -> None:
    alert = says(b"\x15\x03\x03\x00\x02\x02\x28")  # fatal, handshake_failure
    answer = failed(probe(listen(alert), "192.0.2.1", timeout=PATIENT))
    assert answer.kind is FailureKind.HANDSHAKE
    assert answer.detail.startswith("refuses the TLS handshake (")


def test_a_server_that_sends_close_notify_instead(listen: Callable[..., Endpoint]) -> None:
    alert = says(b"\x15\x03\x03\x00\x02\x01\x00")  # warning, close_notify
    answer = failed(probe(listen(alert), "192.0.2.1", timeout=PATIENT))
    assert answer.kind is FailureKind.HANDSHAKE
    assert answer.detail == "refuses the TLS handshake (no reason given)"


def test_a_server_without_the_key_of_its_certificate(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    """Check that a certificate counts only with the signature that proves it."""
    context = server.context(authority.leaf())
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def handle(stream: socket.socket, _: int, __: Event) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(stream.recv(65536))
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        flight = bytearray(outgoing.read())
        flight[-12] ^= 1  # in the signature; ServerHelloDone behind it takes nine bytes
        stream.sendall(flight)
        stream.recv(65536)

    answer = failed(probe(listen(handle), NAME, timeout=PATIENT))
    assert answer.kind is FailureKind.HANDSHAKE
    assert answer.detail.startswith("failed the TLS handshake (")


def test_an_unreadable_certificate(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    context = server.context(
        authority.leaf(), garble=(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07")
    )
    answer = failed(probe(listen(server.handler(context)), NAME, timeout=PATIENT))
    assert answer.kind is FailureKind.HANDSHAKE
    assert answer.detail.startswith("serves a certificate that cannot be read (")


def test_a_connection_without_certificates() -> None:
    tls = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
    with pytest.raises(ProbeError, match="serves no certificate"):
        _read(Endpoint("127.0.0.1", 443), tls)


def test_a_server_that_floods_after_the_handshake(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    leaf = authority.leaf()
    context = server.context(leaf)

    def handle(stream: socket.socket, _: int, stopping: Event) -> None:
        with context.wrap_socket(stream, server_side=True) as tls:
            while not stopping.is_set():
                tls.sendall(bytes(65536))

    started = time.monotonic()
    answer = served(probe(listen(handle), NAME, timeout=PATIENT))
    assert time.monotonic() - started < 1.0
    assert answer.fingerprint == leaf.fingerprint


def test_a_server_with_only_obsolete_protocol_versions(listen: Callable[..., Endpoint]) -> None:
    server_hello_of_tls_1_0 = (
        bytes.fromhex("160301002a020000260301") + bytes(32) + b"\x00\xc0\x13\x00"
    )
    answer = failed(probe(listen(says(server_hello_of_tls_1_0)), NAME, timeout=PATIENT))
    assert answer.kind is FailureKind.NOT_TLS


# --------------------------------------------------------------------------- names


def test_a_host_without_address() -> None:
    answer = failed(probe(Endpoint("nowhere.invalid", 443), NAME, timeout=PATIENT))
    assert answer.kind is FailureKind.NAME
    assert answer.detail.startswith("cannot be reached: the lookup of nowhere.invalid failed (")


def test_a_host_with_an_invalid_name() -> None:
    answer = failed(probe(Endpoint(f"{'a' * 64}.example", 443), NAME, timeout=PATIENT))
    assert answer.kind is FailureKind.NAME


def test_a_resolver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    over = Event()

    def stuck(*_: object, **__: object) -> list[object]:
        over.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    started = time.monotonic()
    answer = failed(probe(Endpoint("slow.example", 443), NAME, timeout=SHORT))
    assert time.monotonic() - started < SHORT + 0.5
    over.set()
    assert answer.detail == (
        "cannot be reached: the lookup of slow.example failed (no answer from the resolver)"
    )
