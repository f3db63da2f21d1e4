"""Download CRLs from a real server on loopback that may be slow, truncating or too large."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest

from gatecert.deadline import Deadline
from gatecert.errors import AuthorityUnreachableError
from gatecert.revocation.crl_download import CrlDownload, download

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.enable_socket

LIST = b"a list"
MODIFIED = "Mon, 23 Nov 2026 08:15:00 GMT"


class Handler(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, dict(self.headers)))
        handler = getattr(self, "_" + self.path.strip("/").split("/")[-1])
        handler()

    def _send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _good(self) -> None:
        if self.headers["If-None-Match"] == '"1"':
            self._send(304)
        else:
            self._send(200, LIST, ETag='"1"', Last_Modified=MODIFIED)

    def _dated(self) -> None:
        known = self.headers["If-Modified-Since"] == MODIFIED
        self._send(304 if known else 200, b"" if known else LIST)

    def _unasked(self) -> None:
        self._send(304)

    def _weighed(self) -> None:
        self.send_response(302)
        self.send_header("Location", "/good")
        self.send_header("Content-Length", str(10**20))
        self.end_headers()

    def _folded(self) -> None:
        self._send(200, LIST, ETag='"1"\r\n folded', Last_Modified="x" * 1000)

    def _foreign(self) -> None:
        self._send(200, LIST, ETag='"\xe9"')

    def _moved(self) -> None:
        self._send(302, Location="/good")

    def _secret(self) -> None:
        self._send(302, Location="https://127.0.0.1/good")

    def _local(self) -> None:
        self._send(302, Location="file:///etc/passwd")

    def _missing(self) -> None:
        self._send(404, b"nothing here")

    def _big(self) -> None:
        self._send(200, b"x" * 5000)

    def _torn(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"x" * 10)

    def _drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        self._drip_bytes()

    def _drip_bytes(self) -> None:
        with suppress(OSError):
            for _ in range(100):
                self.wfile.write(b"x")
                time.sleep(0.02)

    def _slow_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        self._drip_bytes()

    def _garbage(self) -> None:
        self.wfile.write(b"hello\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def base() -> Iterator[str]:
    Handler.asked.clear()
    with serving() as url:
        yield url


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def deadline() -> Deadline:
    return Deadline.after(5)


def test_a_crl_is_downloaded_with_its_validators(base: str, deadline: Deadline) -> None:
    assert download(f"{base}/good", deadline) == CrlDownload(LIST, '"1"', MODIFIED)
    headers = Handler.asked[0][1]
    assert headers["User-Agent"].startswith("gatecert/")
    assert headers["Accept-Encoding"] == "identity"
    assert "If-None-Match" not in headers


def test_an_unchanged_crl_is_not_sent_again(base: str, deadline: Deadline) -> None:
    known = download(f"{base}/good", deadline, etag='"1"', last_modified=MODIFIED)
    assert known == CrlDownload(None, '"1"', MODIFIED)
    assert download(f"{base}/dated", deadline, last_modified=MODIFIED).data is None
    assert download(f"{base}/dated", deadline).data == LIST


def test_a_validator_that_no_request_can_carry_is_dropped(base: str, deadline: Deadline) -> None:
    assert download(f"{base}/foreign", deadline) == CrlDownload(LIST)
    unfolded = download(f"{base}/folded", deadline)  # RFC 9112 section 5.2; the date is too long
    assert unfolded == CrlDownload(LIST, '"1" folded')
    assert download(f"{base}/good", deadline, etag=unfolded.etag).data == LIST
    assert Handler.asked[-1][1]["If-None-Match"] == '"1" folded'


def test_an_unexpected_304_is_an_error(base: str, deadline: Deadline) -> None:
    with pytest.raises(AuthorityUnreachableError, match="HTTP 304"):
        download(f"{base}/unasked", deadline)


def test_redirects_are_followed_over_http_only(base: str, deadline: Deadline) -> None:
    assert download(f"{base}/moved", deadline).data == LIST
    assert download(f"{base}/weighed", deadline).data == LIST
    for path in ("secret", "local"):
        with pytest.raises(AuthorityUnreachableError):
            download(f"{base}/{path}", deadline)


def test_the_proxy_of_the_environment_is_used(
    base: str, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", base)
    assert download("http://ca.invalid/good", deadline).data == LIST
    assert Handler.asked[0][0] == "http://ca.invalid/good"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("missing", "HTTP 404"),
        ("torn", "cut off|IncompleteRead"),
        ("garbage", "hello"),
    ],
)
def test_a_failed_download_has_a_reason(base: str, path: str, why: str, deadline: Deadline) -> None:
    with pytest.raises(AuthorityUnreachableError, match=why) as caught:
        download(f"{base}/{path}", deadline)
    assert f"{base}/{path}" in caught.value.message
    assert "renewal.revocation_lists" in caught.value.fix


def test_a_missing_crl_is_no_network_problem(base: str, deadline: Deadline) -> None:
    with pytest.raises(AuthorityUnreachableError) as caught:
        download(f"{base}/missing", deadline)
    assert "the CA has to publish the CRL" in caught.value.fix
    assert "port 80" not in caught.value.fix


def test_a_crl_has_a_maximum_size(base: str, deadline: Deadline) -> None:
    with pytest.raises(AuthorityUnreachableError, match="more than"):
        download(f"{base}/big", deadline, max_bytes=4999)
    assert len(download(f"{base}/big", deadline, max_bytes=5000).data or b"") == 5000


@pytest.mark.parametrize("path", ["drip", "slow_headers"])
def test_the_deadline_covers_headers_and_body(base: str, path: str) -> None:
    begun = time.monotonic()
    with pytest.raises(AuthorityUnreachableError, match="no answer in time"):
        download(f"{base}/{path}", Deadline.after(0.1))
    assert time.monotonic() - begun < 1.0


def test_stopping_interrupts_a_download(base: str) -> None:
    cancelled = threading.Event()
    threading.Timer(0.05, cancelled.set).start()
    begun = time.monotonic()
    with pytest.raises(AuthorityUnreachableError, match="no answer in time"):
        download(f"{base}/drip", Deadline.after(10, cancelled))
    assert time.monotonic() - begun < 1.0


def test_a_refused_connection_and_malformed_urls(deadline: Deadline) -> None:
    with serving() as url:
        closed = url
    for bad in (closed, "http://", "http://[", "ftp://ca.example/x"):
        with pytest.raises(AuthorityUnreachableError):
            download(bad, deadline)
