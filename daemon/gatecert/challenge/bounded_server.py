"""A minimal TCP server for the http-01 and tls-alpn-01 responders.

The server faces the Internet, possibly as root. It therefore uses one thread and bounds everything:
the time before the first byte, the total time of a connection (not the time between two bytes), the
bytes it may send, and the number of connections, of one network (IPv4 address or IPv6 /64) and of
all. When a network has all that it may have, its new connection replaces its oldest one; when the
server is full, a new connection replaces the oldest one of the network that has the most. Readable
connections are served in order of how few their network has, those that have begun first, and only
for a short time before new connections are accepted again. Connections that have had no turn are
not replaced: until they have, new ones wait in the kernel's queue. A flood from one address
therefore competes only with itself, and one from the CA's own address, such as that of a proxy, has
to open hundreds of connections within the CA's round-trip time, however long the server was kept
from its work. A `ConnectionHandler` processes the bytes of one connection; it knows no sockets and
is created with the first byte, so an idle connection costs next to nothing.

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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gatecert.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

READ_SIZE = 8192
MAX_RECEIVED = 65_536  # bytes of one connection; a handler may allow fewer
CONNECTION_SECONDS = 10.0
SILENT_SECONDS = 3.0  # before the first byte, which a CA sends at once: one lost packet
DRAIN_SECONDS = 0.5  # for connections that are open when the server stops
MAX_CONNECTIONS = 320  # two servers leave some of the usual 1,024 descriptors of a process
MAX_OF_NETWORK = 256
BACKLOG = 1024  # connections that the kernel completes while this process waits for a processor
TURN_SECONDS = 0.1  # for readable connections, before new ones are accepted
ACCEPT_PAUSE_SECONDS = 0.05  # while the process lacks file descriptors or memory


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Limits of a server.

    Attributes:
        connection_seconds: The lifetime of a connection.
        drain_seconds: The time for connections that are open when the server stops.
        connections: The number of connections at the same time.
        of_network: The number of connections of one network.
        silent_seconds: The time before the first byte.
    """

    connection_seconds: float = CONNECTION_SECONDS
    drain_seconds: float = DRAIN_SECONDS
    connections: int = MAX_CONNECTIONS
    of_network: int = MAX_OF_NETWORK
    silent_seconds: float = SILENT_SECONDS


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
        began: Instant on ``time.monotonic()`` at which the server had room for it.
        ends: Instant on ``time.monotonic()`` at which the connection is closed.
        handler: None until the first byte arrives.
        received: Bytes received so far.
    """

    channel: socket.socket
    peer: str
    network: bytes
    began: float = 0.0
    ends: float = 0.0
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
        self._connections: dict[_Connection, None] = {}
        self._by_network: dict[bytes, dict[_Connection, None]] = {}  # oldest first
        self._accepted: _Connection | None = None  # has no room before the next turn
        self._turn_began = time.monotonic()
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
            if self._accepted is not None:
                self._accepted.channel.close()
            self._close_listeners()
            self._selector.close()
            os.close(self._wakeup_read)

    def _turn(self, timeout: float | None) -> bool:
        """Handle one round of events; return False once the server has to stop."""
        stopping = False
        ready: list[_Connection] = []
        called: list[socket.socket] = []
        for key, _ in self._selector.select(timeout if self._accepted is None else 0):
            if key.fileobj == self._wakeup_read:
                stopping = True
            elif isinstance(key.data, _Connection):
                ready.append(key.data)
            elif isinstance(key.fileobj, socket.socket):
                called.append(key.fileobj)
        self._serve_ready(ready)
        now = self._turn_began = time.monotonic()
        for listener in called if self._accepted is None else self._listeners:
            self._accept(listener)
        for expired in [each for each in self._connections if each.ends <= now]:
            self._close(expired)
        return not stopping

    def _serve_ready(self, ready: list[_Connection]) -> None:
        """Serve readable connections for a turn; the selector returns the others again."""
        of_network = {each: len(self._by_network[each.network]) for each in ready}
        ready.sort(key=lambda each: (of_network[each], each.handler is None, each.began))
        end = time.monotonic() + TURN_SECONDS
        for connection in ready:
            self._handle(connection)
            if time.monotonic() > end:
                return

    def _next_timeout(self) -> float | None:
        ends = min((each.ends for each in self._connections), default=None)
        return None if ends is None else max(0.0, ends - time.monotonic())

    def _drain(self) -> None:
        self._selector.unregister(self._wakeup_read)
        end = time.monotonic() + self._limits.drain_seconds
        for listener in self._listeners:
            while not self._accept(listener) and time.monotonic() < end:
                self._turn(0)
            self._selector.unregister(listener)
        self._close_listeners()
        while self._connections and (remaining := end - time.monotonic()) > 0:
            self._turn(remaining)

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._closed.set()

    def _accept(self, listener: socket.socket) -> bool:
        """Accept connections while there is room; return True if none is left in the queue."""
        while True:
            if self._accepted is None:
                try:
                    channel, address = listener.accept()
                except BlockingIOError:
                    return True
                except OSError as error:
                    logger.warning("%s: cannot accept a connection: %s", self._kind, error.strerror)
                    time.sleep(ACCEPT_PAUSE_SECONDS)
                    return False
                channel.settimeout(0)
                peer = str(address[0])
                self._accepted = _Connection(channel, peer, network_of(peer))
            if not self._make_room(self._accepted.network):
                return False
            self._add(self._accepted)
            self._accepted = None

    def _add(self, connection: _Connection) -> None:
        limits = self._limits
        connection.began = time.monotonic()
        connection.ends = connection.began + min(limits.silent_seconds, limits.connection_seconds)
        self._connections[connection] = None
        self._by_network.setdefault(connection.network, {})[connection] = None
        self._selector.register(connection.channel, selectors.EVENT_READ, connection)

    def _make_room(self, network: bytes) -> bool:
        """Close the oldest connections of a network, if it or the server has all it may have.

        Args:
            network: That of the new connection.

        Returns:
            Whether there is room; else the connection waits for the next turn.
        """
        while True:
            ours = self._by_network.get(network, {})
            if len(ours) < self._limits.of_network:
                if len(self._connections) < self._limits.connections:
                    return True
                most = max(self._by_network.values(), key=len)
                ours = ours if len(ours) == len(most) else most
            oldest = next(iter(ours))
            if oldest.began >= self._turn_began:
                return False  # it has had no turn
            self._handle(oldest)  # its request may have come since the turn began
            self._close(oldest)

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
            connection.ends = connection.began + self._limits.connection_seconds
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
            siblings = self._by_network[connection.network]
            del siblings[connection]
            if not siblings:
                del self._by_network[connection.network]
            self._selector.unregister(connection.channel)
            connection.channel.close()


def network_of(peer: str) -> bytes:
    """Return the part of a client address that one subscriber has: of IPv6 the first 64 bits."""
    if ":" in peer:
        return socket.inet_pton(socket.AF_INET6, peer.partition("%")[0])[:8]
    return peer.encode()
