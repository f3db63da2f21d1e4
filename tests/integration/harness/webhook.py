"""A real HTTP server to which notifications are posted, with every fault of such servers."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from harness.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

HUGE: Final = 32 << 20  # bytes
SECRET: Final = "p4thT0ken"  # noqa: S105 - of the test


class Webhook:
    """A server at loopback, as a context manager.

    Args:
        chain: A PEM file with certificate and key; it then speaks TLS.

    Attributes:
        status: What it answers.
        hangs: Whether it never answers.
        is_huge: Whether its answer is huge.
        posted: The documents that it was sent.
        keys: Their ``Idempotency-Key``.
        paths: What was asked for, redirects included.
    """

    def __init__(self, chain: Path | None = None) -> None:
        self.port = free_port()
        self.status = 204
        self.hangs = self.is_huge = False
        self.posted: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.paths: list[str] = []
        self._chain = chain
        self._end = threading.Event()

    @property
    def url(self) -> str:
        """The URL, which has a secret."""
        scheme = "http" if self._chain is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}/{SECRET}"

    def __enter__(self) -> Self:
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.paths.append(self.path)
                self.send_response(200)
                self.end_headers()

            def do_POST(self) -> None:
                host.paths.append(self.path)
                host.keys.append(self.headers["Idempotency-Key"])
                length = int(self.headers["Content-Length"])
                host.posted.append(json.loads(self.rfile.read(length)))
                if host.hangs:
                    host._end.wait(60)
                    return
                self.send_response(host.status)
                if 300 <= host.status < 400:
                    self.send_header("Location", f"http://127.0.0.1:{host.port}/elsewhere-{SECRET}")
                self.end_headers()
                try:
                    self.wfile.write(b"x" * (HUGE if host.is_huge else 0))
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        if self._chain is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._chain)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
