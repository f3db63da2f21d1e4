from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.fakes.pki import Issued, Pki, unsigned

from gatecert import __version__
from gatecert.acme.transport import MAX_BODY_BYTES, AcmeTransport, label
from gatecert.deadline import Deadline
from gatecert.errors import (
    AuthorityError,
    AuthorityUnreachableError,
    ClientCertificateError,
    DeadlineExceededError,
    InsecureURLError,
    InterruptedOrderError,
)
from gatecert.http import adapter, fetcher
from gatecert.http.client_certificate import ClientCertificate
from gatecert.http.fetcher import HttpFetcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Script = Callable[[socket.socket, bytes], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the server's key and self-signed certificate, which is also the client's root."""
    return make_bundle(tmp_path_factory.mktemp("tls"), begin=timedelta(hours=-1))


def make_bundle(directory: Path, *, begin: timedelta) -> Path:
    """Write key and certificate to one file; valid for two hours from ``begin`` after now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority's web server")])
    now = datetime.now(UTC)
    certificate = (
        unsigned(
            name, name, key.public_key(), begin=now + begin, end=now + begin + timedelta(hours=2)
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


class Server:
    """A TLS server whose responses the test writes byte by byte.

    Args:
        bundle: Its key and certificate.
        client_roots: The roots of the client certificates that it demands (PEM); empty for none.
    """

    def __init__(self, bundle: Path, client_roots: str = "") -> None:
        self.script: Script = lambda channel, _: channel.sendall(OK)
        self.requests: list[bytes] = []
        self.connections = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(bundle)
        if client_roots:
            self._context.load_verify_locations(cadata=client_roots)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._channels: list[socket.socket] = []
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}/directory"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                channel, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._talk, args=(channel,), daemon=True).start()

    def _talk(self, raw: socket.socket) -> None:
        with suppress(OSError), self._context.wrap_socket(raw, server_side=True) as channel:
            self._channels.append(channel)
            received = b""
            while piece := channel.recv(65536):
                received += piece
                head, end, body = received.partition(b"\r\n\r\n")
                expected = int(next(iter(head.lower().split(b"content-length: ")[1:]), b"0")[:3])
                if end and len(body) >= expected:
                    self.requests.append(received)
                    received = b""
                    self.script(channel, self.requests[-1])

    def close(self) -> None:
        self._listener.close()
        for channel in self._channels:
            with suppress(OSError):
                channel.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def server(bundle: Path) -> Iterator[Server]:
    server = Server(bundle)
    yield server
    server.close()


@pytest.fixture
def transport(bundle: Path) -> AcmeTransport:
    return AcmeTransport("acme", bundle)


@pytest.fixture
def deadline() -> Deadline:
    return Deadline.after(10)


def drip(piece: bytes) -> Script:
    """Send a piece repeatedly, with short pauses."""

    def script(channel: socket.socket, _: bytes) -> None:
        with suppress(OSError):
            while True:
                channel.sendall(piece)
                time.sleep(0.01)

    return script


# --------------------------------------------------------------------------- plain traffic


def test_a_response_is_read_in_full(
    transport: AcmeTransport, server: Server, deadline: Deadline
) -> None:
    server.script = lambda channel, _: channel.sendall(
        b"HTTP/1.1 201 Created\r\nReplay-Nonce: abc\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    answer = transport.send("GET", server.url, deadline=deadline)

    assert (answer.status, answer.body, answer.url) == (201, b"abcde", server.url)
    assert answer.headers["replay-nonce"] == "abc"


def test_the_headers_of_a_request(
    transport: AcmeTransport, server: Server, deadline: Deadline
) -> None:
    transport.send("POST", server.url, deadline=deadline, body=b"{}")

    head, body = server.requests[0].split(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /directory HTTP/1.1"
    assert f"User-Agent: gatecert/{__version__}\r\n" in head.decode()
    assert "Content-Type: application/jose+json" in lines
    assert "Accept-Encoding: identity" in lines
    assert not [line for line in lines if line.startswith(("Cookie", "Authorization"))]
    assert body == b"{}"


def test_connections_are_reused(
    transport: AcmeTransport, server: Server, deadline: Deadline
) -> None:
    for _ in range(3):
        transport.send("GET", server.url, deadline=deadline)
    transport.send("POST", server.url, deadline=deadline, body=b"{}")

    assert server.connections == 1


def test_an_idle_connection_is_not_reused(bundle: Path, server: Server, deadline: Deadline) -> None:
    impatient = HttpFetcher("https", max_bytes=1 << 20, ca_bundle=bundle, idle_seconds=0.0)
    transport = AcmeTransport("acme", fetcher=impatient)
    transport.send("GET", server.url, deadline=deadline)
    transport.send("GET", server.url, deadline=deadline)

    assert server.connections == 2


def test_no_cookie_is_sent(transport: AcmeTransport, server: Server, deadline: Deadline) -> None:
    server.script = lambda channel, _: channel.sendall(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    )
    transport.send("GET", server.url, deadline=deadline)
    transport.send("GET", server.url, deadline=deadline)

    assert b"Cookie" not in server.requests[1]


def test_netrc_and_trust_of_the_environment_are_ignored(
    transport: AcmeTransport,
    server: Server,
    deadline: Deadline,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login root password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing"))

    transport.send("GET", server.url, deadline=deadline)

    assert b"Authorization" not in server.requests[0]


def test_threads_share_a_transport(
    transport: AcmeTransport, server: Server, deadline: Deadline
) -> None:
    bodies: list[bytes] = []

    def ask() -> None:
        bodies.append(transport.send("GET", server.url, deadline=deadline).body)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert bodies == [b"hi"] * 8


def test_no_more_connections_are_made_than_threads_ask_at_once(
    bundle: Path, server: Server, deadline: Deadline
) -> None:
    transport = AcmeTransport("acme", bundle, connections=15)

    def ask(_: int) -> bytes:
        return transport.send("GET", server.url, deadline=deadline).body

    with ThreadPoolExecutor(15) as pool:
        assert list(pool.map(ask, range(150))) == [b"hi"] * 150
    assert server.connections <= 15


def test_the_environment_is_read_once_for_each_host(
    transport: AcmeTransport,
    server: Server,
    deadline: Deadline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transport.send("GET", server.url, deadline=deadline)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    assert transport.send("GET", server.url, deadline=deadline).body == b"hi"


# --------------------------------------------------------------------------- https only


@pytest.mark.parametrize(
    "url",
    [
        "http://ca.test/directory",
        "HTTP://ca.test/",
        "ftp://ca.test/",
        "file:///etc/passwd",
        "//ca.test/",
        "https://",
        "https://user:secret@ca.test/",
        "https://[::1",
        "https://ca.test:port/",
        "https://ca.test:99999/",
        "https://ca.test:0/",
        "directory",
        "",
    ],
)
def test_only_https_urls_with_a_host_are_fetched(
    transport: AcmeTransport, deadline: Deadline, url: str
) -> None:
    with pytest.raises(InsecureURLError, match=r"CA acme: .* is not an https:// URL"):
        transport.send("GET", url, deadline=deadline)


def test_the_scheme_is_case_insensitive() -> None:
    assert fetcher.is_fetchable("HTTPS://ca.test/", "https")


def redirect(location: str) -> Script:
    head = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    return lambda channel, _: channel.sendall(head.encode())


def test_a_redirect_is_followed(
    transport: AcmeTransport, server: Server, deadline: Deadline
) -> None:
    def script(channel: socket.socket, request: bytes) -> None:
        once = request.startswith(b"GET /directory")
        (redirect("/elsewhere") if once else (lambda it, _: it.sendall(OK)))(channel, request)

    server.script = script
    answer = transport.send("GET", server.url, deadline=deadline)

    assert answer.url.endswith("/elsewhere")
    assert answer.body == b"hi"


def test_a_redirect_to_http_is_refused(
    transport: AcmeTransport, server: Server, deadline: Deadline
) -> None:
    server.script = redirect(server.url.replace("https://", "http://"))

    with pytest.raises(InsecureURLError):
        transport.send("GET", server.url, deadline=deadline)


@pytest.mark.parametrize("location", [b"//[", b"https://[::1", b"\x80", b"https://\xff.test/"])
def test_a_malformed_redirect(
    transport: AcmeTransport, server: Server, deadline: Deadline, location: bytes
) -> None:
    head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n" % location
    server.script = lambda channel, _: channel.sendall(head)

    with pytest.raises(AuthorityError, match="CA acme"):
        transport.send("GET", server.url, deadline=deadline)


def test_a_redirect_of_a_signed_request_is_not_followed(
    transport: AcmeTransport, server: Server, deadline: Deadline
) -> None:
    server.script = redirect("/elsewhere")

    with pytest.raises(AuthorityUnreachableError, match="cannot be reached: it redirects a POST"):
        transport.send("POST", server.url, deadline=deadline, body=b"{}")

    assert len(server.requests) == 1


def test_a_redirect_loop(transport: AcmeTransport, server: Server, deadline: Deadline) -> None:
    server.script = redirect("/directory")

    with pytest.raises(AuthorityUnreachableError, match="too many redirects"):
        transport.send("GET", server.url, deadline=deadline)


# --------------------------------------------------------------------------- trust


def test_an_untrusted_certificate(server: Server, deadline: Deadline) -> None:
    with pytest.raises(AuthorityUnreachableError, match="not trusted: self-signed") as caught:
        AcmeTransport("acme").send("GET", server.url, deadline=deadline)

    assert "set authorities.acme.ca_bundle" in caught.value.fix
    assert server.requests == []


@pytest.mark.parametrize(
    ("begin", "reason"),
    [(timedelta(hours=1), "certificate is not yet valid"), (timedelta(hours=-3), "has expired")],
)
def test_an_expired_certificate_suggests_a_wrong_clock(
    tmp_path: Path, deadline: Deadline, begin: timedelta, reason: str
) -> None:
    bundle = make_bundle(tmp_path, begin=begin)
    server = Server(bundle)
    with closing(server), pytest.raises(AuthorityUnreachableError, match=reason) as caught:
        AcmeTransport("acme", bundle).send("GET", server.url, deadline=deadline)

    assert caught.value.fix.startswith("set the clock")


def test_a_certificate_for_another_name(
    transport: AcmeTransport, server: Server, deadline: Deadline
) -> None:
    url = server.url.replace("127.0.0.1", "localhost")

    with pytest.raises(AuthorityUnreachableError, match="not trusted: Hostname mismatch"):
        transport.send("GET", url, deadline=deadline)


@pytest.mark.parametrize("content", [None, b"", b"no PEM"])
def test_an_unreadable_bundle(tmp_path: Path, deadline: Deadline, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(AuthorityError, match="cannot be read") as caught:
        AcmeTransport("acme", path).send("GET", "https://127.0.0.1:1/", deadline=deadline)

    assert "authorities.acme.ca_bundle" in caught.value.fix


def test_a_proxy_does_not_change_the_trust() -> None:
    context = ssl.create_default_context()
    connections = adapter.DeadlineAdapter(context)

    manager = connections.proxy_manager_for("http://proxy.test:3128")

    assert manager.connection_pool_kw["ssl_context"] is context


@pytest.mark.parametrize(
    ("proxy", "shown", "why"),
    [
        ("http://user:hunter2@127.0.0.1:1", "127.0.0.1:1", "Connection refused"),
        ("127.0.0.1:1", "127.0.0.1:1", "Connection refused"),
        ("http://user:hunter2@127.0.0.1:99999", "127.0.0.1:99999", "its URL is malformed"),
        ("gopher://user:hunter2@127.0.0.1:1", "127.0.0.1:1", "unsupported scheme gopher"),
    ],
)
def test_an_unreachable_proxy_is_named(
    proxy: str,
    shown: str,
    why: str,
    transport: AcmeTransport,
    deadline: Deadline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(AuthorityUnreachableError) as caught:
        transport.send("GET", "https://ca.example/directory", deadline=deadline)
    said = str(caught.value)
    proxy = f"the proxy {shown} does not work: "
    assert said.startswith(f"CA acme (ca.example) cannot be reached: {proxy}")
    assert why in said
    assert "hunter2" not in said
    assert "add ca.example to NO_PROXY" in caught.value.fix


def test_a_proxy_that_requires_authentication(
    transport: AcmeTransport, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def refuse() -> None:
            channel, _ = listener.accept()
            with channel:
                channel.recv(65536)
                channel.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(AuthorityUnreachableError, match="407 Proxy Authentication Required"):
            transport.send("GET", "https://ca.example/directory", deadline=deadline)
        thread.join()


def test_a_silent_proxy(deadline: Deadline, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = HttpFetcher("https", max_bytes=1 << 20, connect_seconds=0.1)
    transport = AcmeTransport("acme", fetcher=impatient)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(AuthorityUnreachableError, match=r"through the proxy 127[.0-9:]+: "):
            transport.send("GET", "https://ca.example/directory", deadline=deadline)


def test_a_socks_proxy_needs_an_extra(
    transport: AcmeTransport, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socks", None)  # as if it were not installed
    monkeypatch.setenv("ALL_PROXY", "socks5h://user:hunter2@127.0.0.1:1")
    with pytest.raises(AuthorityUnreachableError) as caught:
        transport.send("GET", "https://ca.example/directory", deadline=deadline)
    assert "the proxy 127.0.0.1:1 is a SOCKS proxy, and PySocks " in str(caught.value)
    assert "install gatecert[socks]" in caught.value.fix


def test_no_proxy_is_observed(
    transport: AcmeTransport,
    server: Server,
    deadline: Deadline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
    assert transport.send("GET", server.url, deadline=deadline).status == 200


def make_loose_chain(directory: Path) -> tuple[Path, Path]:
    """Make a server's certificate and its root as some private CAs do.

    The root's basicConstraints are not critical, and there are no key identifiers.
    """
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a private root")])
    now = datetime.now(UTC)

    def sign(name: str, of: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> bytes:
        return (
            unsigned(
                x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
                root,
                of.public_key(),
                begin=now - timedelta(hours=1),
                end=now + timedelta(hours=1),
            )
            .add_extension(extension, critical=False)
            .sign(root_key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    pair, trusted = directory / "pair.pem", directory / "root.pem"
    pair.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + sign("a server", key, names)
    )
    trusted.write_bytes(
        sign("a private root", root_key, x509.BasicConstraints(ca=True, path_length=None))
    )
    return pair, trusted


def test_a_ca_bundle_is_verified_as_openssl_does_by_default(
    tmp_path: Path, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = ssl.create_default_context

    def strict(**options: str | None) -> ssl.SSLContext:  # as Python 3.13
        context = usual(**options)  # type: ignore[arg-type] # cafile alone
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    pair, trusted = make_loose_chain(tmp_path)
    with closing(Server(pair)) as server:
        answer = AcmeTransport("acme", trusted).send("GET", server.url, deadline=deadline)
    assert answer.status == 200


def test_a_machine_without_trust_store_uses_certifi(
    tmp_path: Path, server: Server, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = ssl.get_default_verify_paths()._replace(cafile="", capath=str(tmp_path))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    transport = AcmeTransport("acme")

    with pytest.raises(AuthorityUnreachableError, match="not trusted"):
        transport.send("GET", server.url, deadline=deadline)

    context = adapter.tls_context(None)
    assert len(context.get_ca_certs()) > 50


# --------------------------------------------------------------------------- deadlines


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(lambda *_: time.sleep(2), id="silent"),
        pytest.param(drip(b"H"), id="status line"),
        pytest.param(drip(b"a: b\r\n"), id="headers without a status"),
    ],
)
def test_the_deadline_covers_status_and_headers(
    transport: AcmeTransport, server: Server, script: Script
) -> None:
    server.script = script
    started = time.monotonic()

    with pytest.raises((DeadlineExceededError, AuthorityUnreachableError)):
        transport.send("GET", server.url, deadline=Deadline.after(0.15))

    assert time.monotonic() - started < 1.5


def test_the_deadline_covers_slow_headers(transport: AcmeTransport, server: Server) -> None:
    def script(channel: socket.socket, request: bytes) -> None:
        channel.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        drip(b"a")(channel, request)

    server.script = script
    with pytest.raises(DeadlineExceededError, match="longer than the whole operation may take"):
        transport.send("GET", server.url, deadline=Deadline.after(0.15))


@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Connection: close"])
def test_the_deadline_covers_a_slow_body(
    transport: AcmeTransport, server: Server, framing: str
) -> None:
    def script(channel: socket.socket, request: bytes) -> None:
        channel.sendall(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
        drip(b"a")(channel, request)

    server.script = script
    started = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        transport.send("GET", server.url, deadline=Deadline.after(0.15))

    assert time.monotonic() - started < 1.5


def test_a_request_has_its_own_time_limit(bundle: Path, server: Server) -> None:
    transport = AcmeTransport("acme", bundle, request_seconds=0.1)
    server.script = lambda *_: time.sleep(2)

    with pytest.raises(AuthorityUnreachableError, match=r"did not answer in full within 0\.1 s"):
        transport.send("GET", server.url, deadline=Deadline.after(10))


def test_no_request_is_made_after_the_deadline(transport: AcmeTransport, server: Server) -> None:
    with pytest.raises(DeadlineExceededError):
        transport.send("GET", server.url, deadline=Deadline.after(0))

    assert server.connections == 0


def test_stopping_interrupts_a_request(transport: AcmeTransport, server: Server) -> None:
    cancelled = threading.Event()

    def script(*_: object) -> None:
        cancelled.set()
        time.sleep(2)

    server.script = script
    started = time.monotonic()
    with pytest.raises(InterruptedOrderError):
        transport.send("GET", server.url, deadline=Deadline.after(10, cancelled))

    assert time.monotonic() - started < 1.5


# --------------------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    "framing", [f"Content-Length: {1 << 30}", "Transfer-Encoding: chunked", "Connection: close"]
)
def test_a_large_body_is_cut_off(
    transport: AcmeTransport, server: Server, deadline: Deadline, framing: str
) -> None:
    sent = 0

    def script(channel: socket.socket, _: bytes) -> None:
        nonlocal sent
        channel.sendall(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
        piece = b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n" if "chunked" in framing else b"x" * 65536
        with suppress(OSError):
            while sent < 1 << 30:
                channel.sendall(piece)
                sent += len(piece)

    server.script = script
    with pytest.raises(AuthorityUnreachableError, match="more than 1 MiB"):
        transport.send("GET", server.url, deadline=deadline)

    assert sent < 64 * MAX_BODY_BYTES


def test_the_body_of_a_redirect_is_not_read(
    transport: AcmeTransport, server: Server, deadline: Deadline
) -> None:
    sent = 0

    def script(channel: socket.socket, request: bytes) -> None:
        nonlocal sent
        if request.startswith(b"GET /elsewhere"):
            channel.sendall(OK)
            return
        channel.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 1000000000\r\n\r\n"
        )
        with suppress(OSError):
            while sent < 64 * MAX_BODY_BYTES:
                sent += channel.send(bytes(1 << 16))

    server.script = script
    assert transport.send("GET", server.url, deadline=deadline).body == b"hi"
    assert sent < 32 * MAX_BODY_BYTES


def test_an_unencodable_url(
    transport: AcmeTransport, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "192.0.2.0/24")  # makes the library look at the host
    with pytest.raises(AuthorityUnreachableError, match="cannot be reached"):
        transport.send("GET", "https://\ud800.test/", deadline=deadline)


def test_a_body_of_maximum_size(
    transport: AcmeTransport, server: Server, deadline: Deadline
) -> None:
    server.script = lambda channel, _: channel.sendall(
        f"HTTP/1.1 200 OK\r\nContent-Length: {MAX_BODY_BYTES}\r\n\r\n".encode()
        + b"x" * MAX_BODY_BYTES
    )
    assert len(transport.send("GET", server.url, deadline=deadline).body) == MAX_BODY_BYTES


def test_a_body_is_not_decompressed(
    transport: AcmeTransport, server: Server, deadline: Deadline
) -> None:
    server.script = lambda channel, _: channel.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
    )
    assert transport.send("GET", server.url, deadline=deadline).body == b"\x1f\x8b\x08\x00"


def test_a_truncated_body(transport: AcmeTransport, server: Server, deadline: Deadline) -> None:
    def script(channel: socket.socket, _: bytes) -> None:
        channel.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        channel.shutdown(socket.SHUT_RDWR)

    server.script = script
    with pytest.raises(AuthorityUnreachableError, match="cannot be reached"):
        transport.send("GET", server.url, deadline=deadline)


# --------------------------------------------------------------------------- no answer


def test_connection_refused(transport: AcmeTransport, deadline: Deadline) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with pytest.raises(AuthorityUnreachableError) as caught:
        transport.send("GET", f"https://127.0.0.1:{port}/", deadline=deadline)

    assert str(caught.value) == (
        f"CA acme (127.0.0.1:{port}) cannot be reached: Connection refused"
    )


def test_a_name_that_does_not_resolve(
    transport: AcmeTransport, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(AuthorityUnreachableError, match="its name does not resolve"):
        transport.send("GET", "https://ca.invalid/", deadline=deadline)


@pytest.mark.parametrize("garbage", [b"\x00\xff\r\n\r\n", b"SSH-2.0-OpenSSH\r\n\r\n"])
def test_a_server_without_http(
    transport: AcmeTransport, server: Server, deadline: Deadline, garbage: bytes
) -> None:
    server.script = lambda channel, _: channel.sendall(garbage)

    with pytest.raises(AuthorityUnreachableError, match="cannot be reached"):
        transport.send("GET", server.url, deadline=deadline)


def test_the_label_of_a_ca() -> None:
    assert label("acme", "https://ca.test:14000/dir") == "CA acme (ca.test:14000)"
    assert label("acme", "nonsense") == "CA acme (no host)"


# --------------------------------------------------------------------------- client certificates

PKI = Pki()
BEGIN, END = datetime.now(UTC) - timedelta(hours=2), datetime.now(UTC) + timedelta(days=1)
ROOT = PKI.root(begin=BEGIN, end=END)


def client(name: str, root: Issued = ROOT, end: datetime = END) -> Issued:
    return PKI.issue(name, root, server=False, begin=BEGIN, end=end)


@pytest.fixture
def demanding(bundle: Path) -> Iterator[Server]:
    """Run a server that demands a client certificate."""
    server = Server(bundle, ROOT.pem.decode("ascii"))
    yield server
    server.close()


@pytest.fixture
def files(tmp_path: Path) -> ClientCertificate:
    return ClientCertificate(tmp_path / "client.pem", tmp_path / "client.key")


def write(files: ClientCertificate, certificate: Issued, key: Issued | None = None) -> None:
    files.certificate.write_bytes(certificate.pem)
    files.key.write_bytes((key or certificate).key_pem)
    files.key.chmod(0o600)


def test_a_client_certificate_is_presented_and_read_again(
    bundle: Path, demanding: Server, files: ClientCertificate, deadline: Deadline
) -> None:
    write(files, client("first"))
    transport = AcmeTransport("acme", bundle, client_certificate=files)
    for name in ("first", "first", "second"):
        if name == "second":
            write(files, client(name))
        assert transport.send("GET", demanding.url, deadline=deadline).status == 200

    assert demanding.connections == 2


def test_files_that_do_not_belong_together_yet_are_not_read_again(
    bundle: Path, demanding: Server, files: ClientCertificate, deadline: Deadline
) -> None:
    write(files, client("first"))
    transport = AcmeTransport("acme", bundle, client_certificate=files)
    transport.send("GET", demanding.url, deadline=deadline)
    write(files, client("second"), key=client("first"))

    assert transport.send("GET", demanding.url, deadline=deadline).status == 200
    assert demanding.connections == 1

    write(files, client("second"))
    assert transport.send("GET", demanding.url, deadline=deadline).status == 200
    assert demanding.connections == 2


@pytest.mark.parametrize(
    ("presented", "alert"),
    [
        (None, "certificate required"),
        (client("stranger", PKI.root("Other", begin=BEGIN, end=END)), "unknown ca"),
        (client("ended", end=datetime.now(UTC) - timedelta(hours=1)), "certificate expired"),
    ],
    ids=["none", "unknown", "expired"],
)
def test_a_refused_client_certificate(
    bundle: Path,
    demanding: Server,
    files: ClientCertificate,
    deadline: Deadline,
    presented: Issued | None,
    alert: str,
) -> None:
    if presented is not None:
        write(files, presented)
    transport = AcmeTransport("acme", bundle, client_certificate=files if presented else None)

    with pytest.raises(ClientCertificateError) as caught:
        transport.send("GET", demanding.url, deadline=deadline)

    who = label("acme", demanding.url)
    assert caught.value.message == f"{who} refuses the client certificate: {alert}"
    assert "authorities.acme.client_certificate and client_key" in caught.value.fix
    assert demanding.requests == []


def test_a_refusal_of_nginx(transport: AcmeTransport, server: Server, deadline: Deadline) -> None:
    page = b"<html><head><title>400 No required SSL certificate was sent</title></head></html>"
    head = f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(page)}\r\n\r\n".encode("ascii")
    server.script = lambda channel, _: channel.sendall(head + page)

    with pytest.raises(ClientCertificateError, match="No required SSL certificate was sent"):
        transport.send("GET", server.url, deadline=deadline)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda files: files.key.unlink(), "there is no file"),
        (lambda files: files.key.write_bytes(ROOT.key_pem), "does not belong to the certificate"),
        (lambda files: files.key.chmod(0o666), "is world-writable"),
        (lambda files: files.certificate.write_text("no PEM"), "are not a certificate and a key"),
    ],
    ids=["missing", "mismatch", "writable", "garbage"],
)
def test_an_unusable_client_certificate(
    bundle: Path,
    demanding: Server,
    files: ClientCertificate,
    deadline: Deadline,
    spoil: Callable[[ClientCertificate], object],
    reason: str,
) -> None:
    write(files, client("first"))
    spoil(files)
    transport = AcmeTransport("acme", bundle, client_certificate=files)

    with pytest.raises(ClientCertificateError, match=reason) as caught:
        transport.send("GET", demanding.url, deadline=deadline)

    assert "authorities.acme.client_certificate and client_key" in caught.value.fix
    assert "PRIVATE KEY" not in str(caught.value)
