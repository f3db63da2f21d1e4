"""A minimal TCP server for the http-01 and tls-alpn-01 responders.

The server faces the Internet, possibly as root, for a few seconds at a time. It therefore uses one
thread and bounds everything: the total time of a connection (not the time between two bytes), the
bytes it may send, and the number of connections. When the server is full, a new connection replaces
the oldest connection of the network (IPv4 address or IPv6 /64) that has the most. Readable
connections are served in order of how few their network has. A flood from one address therefore
competes only with itself. A `ConnectionHandler` processes the bytes of one connection; it knows no
sockets and is created with the first byte, so an idle connection costs next to nothing.

A listener is closed only after the connections in its accept queue have been served: the kernel
would reset them, even while another process listens on the same port.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gatecert.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

READ_SIZE = 8192
MAX_RECEIVED = 65_536  # bytes of one connection; a handler may allow fewer
CONNECTION_SECONDS = 10.0
DRAIN_SECONDS = 0.5  # for connections that are open when the server stops
MAX_CONNECTIONS = 64
BACKLOG = 128
ACCEPT_PAUSE_SECONDS = 0.05  # while the process lacks file descriptors or memory


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Limits of a server.

    Attributes:
        connection_seconds: The lifetime of a connection.
        drain_seconds: The time for connections that are open when the server stops.
        connections: The number of connections at the same time.
    """

    connection_seconds: float = CONNECTION_SECONDS
    drain_seconds: float = DRAIN_SECONDS
    connections: int = MAX_CONNECTIONS


LIMITS = ServerLimits()


class ConnectionHandler(Protocol):
    """The protocol side of one connection."""

    def receive(self, data: bytes) -> bytes:
        """Process received bytes and return the bytes to send.

        Raises:
            StateError: The response cannot be read; the connection is closed without one.
        """
        ...

    @property
    def finished(self) -> bool:
        """True if nothing remains to be sent after the last returned bytes."""
        ...

    def close(self) -> None:
        """Note that the last response was sent; must be quick."""
        ...


@dataclass(slots=True, eq=False)
class _Connection:
    """An accepted connection.

    Attributes:
        network: The client's network; connections are counted by it.
        ends: Instant on ``time.monotonic()`` at which the connection is closed.
        handler: None until the first byte arrives.
        received: Bytes received so far.
    """

    channel: socket.socket
    peer: str
    network: bytes
    ends: float
    handler: ConnectionHandler | None = None
    received: int = 0
    unsent: bytes = b""


class BoundedServer:
    """A server on listening sockets, from its creation until ``stop``.

    Args:
        listeners: Listening sockets; the server takes ownership.
        make_handler: Creates the handler of a connection from a client address.
        kind: The challenge type, for the log.
        limits: Its limits.
    """

    def __init__(
        self,
        listeners: list[socket.socket],
        make_handler: Callable[[str], ConnectionHandler],
        kind: str,
        limits: ServerLimits = LIMITS,
    ) -> None:
        self._limits = limits
        self._listeners = listeners
        self._make_handler = make_handler
        self._kind = kind
        self._connections: dict[_Connection, None] = {}  # oldest first
        self._closed = threading.Event()
        self._stopping = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._wakeup_read, self._wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wakeup_read, selectors.EVENT_READ)
        for listener in listeners:
            listener.settimeout(0)
            self._selector.register(listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name=kind, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the listeners; open connections are served for up to ``limits.drain_seconds``."""
        with self._stopping:
            if self._wakeup_write >= 0:
                os.close(self._wakeup_write)
                self._wakeup_write = -1  # the number may soon be reused
        self._closed.wait()

    def _serve(self) -> None:
        try:
            while self._turn(self._next_timeout()):
                pass
            self._drain()
        finally:
            for connection in list(self._connections):
                self._close(connection)
            self._close_listeners()
            self._selector.close()
            os.close(self._wakeup_read)

    def _turn(self, timeout: float | None) -> bool:
        """Handle one round of events; return False once the server has to stop."""
        stopping = False
        ready: list[_Connection] = []
        for key, _ in self._selector.select(timeout):
            if key.fileobj == self._wakeup_read:
                stopping = True
            elif isinstance(key.data, _Connection):
                ready.append(key.data)
            elif isinstance(key.fileobj, socket.socket):
                self._accept(key.fileobj)
        counts = self._counts()
        for connection in sorted(ready, key=lambda each: counts[each.network]):
            if connection in self._connections:  # not closed for another one meanwhile
                self._handle(connection)
        now = time.monotonic()
        for expired in [each for each in self._connections if each.ends <= now]:
            self._close(expired)
        return not stopping

    def _next_timeout(self) -> float | None:
        ends = min((each.ends for each in self._connections), default=None)
        return None if ends is None else max(0.0, ends - time.monotonic())

    def _drain(self) -> None:
        self._selector.unregister(self._wakeup_read)
        for listener in self._listeners:
            self._accept(listener)
            self._selector.unregister(listener)
        self._close_listeners()
        end = time.monotonic() + self._limits.drain_seconds
        while self._connections and (remaining := end - time.monotonic()) > 0:
            self._turn(remaining)

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._closed.set()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(BACKLOG):
            try:
                channel, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                logger.warning("%s: cannot accept a connection: %s", self._kind, error.strerror)
                time.sleep(ACCEPT_PAUSE_SECONDS)
                return
            channel.settimeout(0)
            peer = str(address[0])
            ends = time.monotonic() + self._limits.connection_seconds
            connection = _Connection(channel, peer, network_of(peer), ends)
            self._make_room(connection.network)
            self._connections[connection] = None
            self._selector.register(channel, selectors.EVENT_READ, connection)

    def _make_room(self, network: bytes) -> None:
        """If the server is full, close the oldest connection of the network that has the most."""
        if len(self._connections) < self._limits.connections:
            return
        counts = self._counts()
        counts[network] += 1
        most = max(counts[each.network] for each in self._connections)
        self._close(next(each for each in self._connections if counts[each.network] == most))

    def _counts(self) -> Counter[bytes]:
        """Count the connections of each network."""
        return Counter(each.network for each in self._connections)

    def _handle(self, connection: _Connection) -> None:
        try:
            if not connection.unsent:
                self._receive(connection)
            if connection.unsent:
                self._send(connection)
        except BlockingIOError:
            pass
        except StateError as error:
            logger.warning("%s: cannot read the response: %s", self._kind, error)
            self._close(connection)
        except OSError as error:
            logger.debug("connection lost peer=%s error=%s", connection.peer, error)
            self._close(connection)

    def _receive(self, connection: _Connection) -> None:
        data = connection.channel.recv(READ_SIZE)
        connection.received += len(data)
        if connection.handler is None:
            connection.handler = self._make_handler(connection.peer)
        connection.unsent = connection.handler.receive(data)
        ended = not data or connection.received > MAX_RECEIVED
        if not connection.unsent and (ended or connection.handler.finished):
            self._close(connection)

    def _send(self, connection: _Connection) -> None:
        sent = connection.channel.send(connection.unsent)
        connection.unsent = connection.unsent[sent:]
        handler = connection.handler
        waits_for = selectors.EVENT_WRITE if connection.unsent else selectors.EVENT_READ
        if connection.unsent or handler is None or not handler.finished:
            self._selector.modify(connection.channel, waits_for, connection)
            return
        handler.close()
        connection.channel.shutdown(socket.SHUT_WR)
        self._close(connection)

    def _close(self, connection: _Connection) -> None:
        if connection in self._connections:
            del self._connections[connection]
            self._selector.unregister(connection.channel)
            connection.channel.close()


def network_of(peer: str) -> bytes:
    """Return the part of a client address that one subscriber has: of IPv6 the first 64 bits."""
    if ":" in peer:
        return socket.inet_pton(socket.AF_INET6, peer.partition("%")[0])[:8]
    return peer.encode()
