"""A very small HTTP server that knows challenge responses and nothing else (RFC 8555 section 8.3).

It faces the whole internet, as root or nearly so, for a few seconds at a time. So there is one
thread, no request body, nothing of a request is ever used but its path, and everything is bounded:
the size of a request, the time a connection may take in all (not between two bytes), and how many
there are. Whoever comes when it is full takes the place of the oldest. Each connection answers one
request and ends. Nothing tells what software this is.

A listener is closed only after the connections that wait in its queue have been served, since the
kernel would reset them, even where another process goes on listening on the same port.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gatecert.errors import StateError

logger = logging.getLogger(__name__)

PREFIX = "/.well-known/acme-challenge/"
LARGEST_REQUEST = 8192  # bytes, request line and headers together
CONNECTION_SECONDS = 10.0
FAREWELL_SECONDS = 0.5  # for connections that are open when the responder stops
MOST_CONNECTIONS = 64
BACKLOG = 128
SHORTAGE_SECONDS = 0.05  # for descriptors or memory to be free again

Lookup = Callable[[str], str | None]


def respond(head: bytes, lookup: Lookup) -> tuple[bytes, str | None]:
    """The response to a request, and the token that was fetched, if one was.

    Args:
        head: Request line and headers.
        lookup: The key authorization of a token; None for any other text.
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


@dataclass(slots=True, eq=False)
class _Connection:
    """One visitor.

    Attributes:
        ends: Instant on ``time.monotonic()`` at which it is cut off.
        token: What it fetches, once that is known.
    """

    channel: socket.socket
    peer: str
    ends: float
    received: bytearray = field(default_factory=bytearray)
    unsent: bytes = b""
    token: str | None = None


class Responder:
    """Serves challenge responses on some listening sockets until it is stopped.

    Args:
        listeners: Listening sockets; they belong to the responder from now on.
        lookup: The key authorization of a token; None for any other text.
        fetched: Called with a token once its response is on its way; must be quick.
    """

    def __init__(
        self, listeners: list[socket.socket], lookup: Lookup, fetched: Callable[[str], None]
    ) -> None:
        self._listeners = listeners
        self._lookup = lookup
        self._fetched = fetched
        self._connections: dict[_Connection, None] = {}  # oldest first
        self._stopping = threading.Lock()
        self._deaf = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._bell, self._ring = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._bell, selectors.EVENT_READ)
        for listener in listeners:
            listener.settimeout(0)
            self._selector.register(listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="http-01", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; who is connected by then is still served, for a moment."""
        with self._stopping:
            if self._ring >= 0:
                os.close(self._ring)
                self._ring = -1  # the number may soon be somebody else's
        self._deaf.wait()

    def _serve(self) -> None:
        try:
            while self._turn(self._next_timeout()):
                pass
            self._say_farewell()
        finally:
            for connection in list(self._connections):
                self._close(connection)
            self._close_listeners()
            self._selector.close()
            os.close(self._bell)

    def _turn(self, timeout: float | None) -> bool:
        """Handle what has happened; False once the responder has to stop."""
        stopping = False
        for key, _ in self._selector.select(timeout):
            if key.fileobj == self._bell:
                stopping = True
            elif isinstance(key.data, _Connection):
                self._attend(key.data)
            elif isinstance(key.fileobj, socket.socket):
                self._accept(key.fileobj)
        now = time.monotonic()
        for late in [each for each in self._connections if each.ends <= now]:
            self._close(late)
        return not stopping

    def _next_timeout(self) -> float | None:
        ends = min((each.ends for each in self._connections), default=None)
        return None if ends is None else max(0.0, ends - time.monotonic())

    def _say_farewell(self) -> None:
        self._selector.unregister(self._bell)
        for listener in self._listeners:
            self._accept(listener)
            self._selector.unregister(listener)
        self._close_listeners()
        end = time.monotonic() + FAREWELL_SECONDS
        while self._connections and (left := end - time.monotonic()) > 0:
            self._turn(left)

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._deaf.set()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(BACKLOG):
            try:
                channel, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                logger.warning("http-01 cannot take a connection: %s", error.strerror)
                time.sleep(SHORTAGE_SECONDS)
                return
            channel.settimeout(0)
            if len(self._connections) >= MOST_CONNECTIONS:
                self._close(next(iter(self._connections)))
            ends = time.monotonic() + CONNECTION_SECONDS
            connection = _Connection(channel, str(address[0]), ends)
            self._connections[connection] = None
            self._selector.register(channel, selectors.EVENT_READ, connection)
            self._attend(connection)

    def _attend(self, connection: _Connection) -> None:
        try:
            if not connection.unsent:
                self._receive(connection)
            if connection.unsent:
                self._send(connection)
        except BlockingIOError:
            pass
        except StateError as error:
            logger.warning("http-01 response cannot be read: %s", error)
            self._close(connection)
        except OSError as error:
            logger.debug("connection lost peer=%s error=%s", connection.peer, error)
            self._close(connection)

    def _receive(self, connection: _Connection) -> None:
        piece = connection.channel.recv(LARGEST_REQUEST)
        connection.received += piece
        head, end, _ = bytes(connection.received).partition(b"\r\n\r\n")
        if end:
            connection.unsent, connection.token = respond(head, self._lookup)
            logger.debug("http-01 peer=%s token=%s", connection.peer, connection.token)
        elif len(connection.received) > LARGEST_REQUEST:
            connection.unsent = _response("431 Request Header Fields Too Large")
        elif not piece:
            self._close(connection)

    def _send(self, connection: _Connection) -> None:
        sent = connection.channel.send(connection.unsent)
        connection.unsent = connection.unsent[sent:]
        if connection.unsent:
            self._selector.modify(connection.channel, selectors.EVENT_WRITE, connection)
            return
        if connection.token is not None:
            self._fetched(connection.token)
        connection.channel.shutdown(socket.SHUT_WR)
        self._close(connection)

    def _close(self, connection: _Connection) -> None:
        if connection in self._connections:
            del self._connections[connection]
            self._selector.unregister(connection.channel)
            connection.channel.close()
