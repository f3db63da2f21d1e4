"""An HTTP server for http-01 responses only (RFC 8555 section 8.3).

The server accepts no request body, uses only the path of a request, and bounds its size. Each
connection answers one request and is closed. No header reveals the software.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gatecert.challenge.bounded_server import LIMITS, BoundedServer, ServerLimits

if TYPE_CHECKING:
    import socket

logger = logging.getLogger(__name__)

PREFIX = "/.well-known/acme-challenge/"
MAX_REQUEST = 8192  # bytes, request line and headers together

TokenLookup = Callable[[str], str | None]


def respond(head: bytes, lookup: TokenLookup) -> tuple[bytes, str | None]:
    """Return the response to a request and the fetched token, if any.

    Args:
        head: Request line and headers.
        lookup: Returns the key authorization of a token; None for any other text.
    """
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):  # noqa: PLR2004 - method target version
        return _response("400 Bad Request"), None
    method, target, _ = words
    if method not in {b"GET", b"HEAD"}:
        return _response("405 Method Not Allowed", allow="GET, HEAD"), None
    try:
        path = urlsplit(target.decode("ascii")).path
    except ValueError:
        return _response("400 Bad Request"), None
    token = path.removeprefix(PREFIX)
    text = lookup(token) if token != path else None
    if text is None:
        return _response("404 Not Found"), None
    body = text.encode("ascii")
    return _response("200 OK", body, head_only=method == b"HEAD"), token


def _response(status: str, body: bytes = b"", *, head_only: bool = False, allow: str = "") -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: text/plain",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        *([f"Allow: {allow}"] if allow else []),
        "Connection: close",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("ascii") + (b"" if head_only else body)


class HttpHandler:
    """A request and its response.

    Args:
        lookup: Returns the key authorization of a token; None for any other text.
        fetched: Called with a token once its response was sent; must be quick.
        peer: The client's address, for the log.
    """

    def __init__(self, lookup: TokenLookup, fetched: Callable[[str], None], peer: str) -> None:
        self._lookup = lookup
        self._fetched = fetched
        self._peer = peer
        self._received = bytearray()
        self._token: str | None = None
        self.finished = False

    def receive(self, data: bytes) -> bytes:
        """Return the response; empty while the request is incomplete."""
        self._received += data
        head, end, _ = bytes(self._received).partition(b"\r\n\r\n")
        if end:
            self.finished = True
            response, self._token = respond(head, self._lookup)
            logger.debug("http-01 peer=%s token=%s", self._peer, self._token)
            return response
        if len(self._received) > MAX_REQUEST:
            self.finished = True
            return _response("431 Request Header Fields Too Large")
        return b""

    def close(self) -> None:
        """Report the fetched token."""
        if self._token is not None:
            self._fetched(self._token)


def http_responder(
    listeners: list[socket.socket],
    lookup: TokenLookup,
    fetched: Callable[[str], None],
    limits: ServerLimits = LIMITS,
) -> BoundedServer:
    """Serve http-01 responses on listening sockets until the server is stopped.

    Args:
        listeners: Listening sockets; the server takes ownership.
        lookup: Returns the key authorization of a token; None for any other text.
        fetched: Called with a token once its response was sent; must be quick.
        limits: Limits of the server.
    """
    make_handler = partial(HttpHandler, lookup, fetched)
    return BoundedServer(listeners, make_handler, "http-01", limits)
