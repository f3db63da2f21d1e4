"""An HTTP server for CRLs, with entity tags, up or down."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from harness.ports import free_port

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class ListServer:
    """A server of one CRL at ``url``, as a context manager.

    Attributes:
        answers: Status codes of all answers so far.
    """

    def __init__(self) -> None:
        self._port = free_port()
        self._list = b""
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        """The URL of the CRL."""
        return f"http://127.0.0.1:{self._port}/issuing.crl"

    def publish(self, made: bytes) -> None:
        """Serve another CRL from now on."""
        self._list = made

    def start(self) -> None:
        """Start serving."""
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = host._list
                tag = f'"{hashlib.sha256(body).hexdigest()}"'
                current = self.headers["If-None-Match"] == tag
                host.answers.append(304 if current else 200)
                self.send_response(host.answers[-1])
                self.send_header("ETag", tag)
                self.send_header("Content-Length", "0" if current else str(len(body)))
                self.end_headers()
                self.wfile.write(b"" if current else body)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread.is_alive():
            self.stop()
