"""A very small TCP server, for whoever answers challenges himself.

It faces the whole internet, as root or nearly so, for a few seconds at a time. So there is one
thread, and everything is bounded: the time a connection may take in all (not between two bytes),
how much it may say, and how many there are. Whoever comes when it is full takes the place of the
oldest connection from the address (IPv6: the /64) that holds the most, and of those that have said
something, one from the address that holds the fewest is served first. So one address that floods
the server competes with itself alone. A `ConnectionHandler` handles what is said on a connection;
it knows nothing of sockets and begins with the first byte: silence costs next to nothing.

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
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gatecert.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

READ_SIZE = 8192
MOST_HEARD = 65_536  # bytes that one visitor may send; a conversation may allow less
CONNECTION_SECONDS = 10.0
FAREWELL_SECONDS = 0.5  # for connections that are open when the server stops
MOST_CONNECTIONS = 64
BACKLOG = 128
SHORTAGE_SECONDS = 0.05  # for descriptors or memory to be free again


class ConnectionHandler(Protocol):
    """What is said on one connection."""

    def hear(self, data: bytes) -> bytes:
        """What to answer to what has come.

        Raises:
            StateError: The answer cannot be read; the connection is closed without one.
        """
        ...

    @property
    def over(self) -> bool:
        """Whether nothing more is to be said, once the answer has been sent."""
        ...

    def close(self) -> None:
        """The last answer is on its way; must be quick."""
        ...


@dataclass(slots=True, eq=False)
class _Connection:
    """One visitor.

    Attributes:
        site: The network that it comes from, for which it counts.
        ends: Instant on ``time.monotonic()`` at which it is cut off.
        conversation: None until something has come.
        heard: How many bytes have come.
    """

    channel: socket.socket
    peer: str
    site: bytes
    ends: float
    conversation: ConnectionHandler | None = None
    heard: int = 0
    unsent: bytes = b""


class BoundedServer:
    """Converses on some listening sockets until it is stopped.

    Args:
        listeners: Listening sockets; they belong to the server from now on.
        converse: Begins a conversation with the visitor from an address.
        kind: The challenge type, for the log.
    """

    def __init__(
        self,
        listeners: list[socket.socket],
        converse: Callable[[str], ConnectionHandler],
        kind: str,
    ) -> None:
        self._listeners = listeners
        self._converse = converse
        self._kind = kind
        self._connections: dict[_Connection, None] = {}  # oldest first
        self._deaf = threading.Event()
        self._stopping = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._bell, self._ring = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._bell, selectors.EVENT_READ)
        for listener in listeners:
            listener.settimeout(0)
            self._selector.register(listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name=kind, daemon=True)
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
        """Handle what has happened; False once the server has to stop."""
        stopping = False
        ready: list[_Connection] = []
        for key, _ in self._selector.select(timeout):
            if key.fileobj == self._bell:
                stopping = True
            elif isinstance(key.data, _Connection):
                ready.append(key.data)
            elif isinstance(key.fileobj, socket.socket):
                self._accept(key.fileobj)
        held = self._held()
        for connection in sorted(ready, key=lambda each: held[each.site]):
            if connection in self._connections:  # it may have made room
                self._attend(connection)
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
                logger.warning("%s cannot take a connection: %s", self._kind, error.strerror)
                time.sleep(SHORTAGE_SECONDS)
                return
            channel.settimeout(0)
            peer = str(address[0])
            ends = time.monotonic() + CONNECTION_SECONDS
            connection = _Connection(channel, peer, site(peer), ends)
            self._make_room(connection.site)
            self._connections[connection] = None
            self._selector.register(channel, selectors.EVENT_READ, connection)

    def _make_room(self, site: bytes) -> None:
        """Close the oldest connection of whoever would hold the most with a new one from a site."""
        if len(self._connections) < MOST_CONNECTIONS:
            return
        held = self._held()
        held[site] += 1
        most = max(held[each.site] for each in self._connections)
        self._close(next(each for each in self._connections if held[each.site] == most))

    def _held(self) -> Counter[bytes]:
        """How many connections there are from each site."""
        return Counter(each.site for each in self._connections)

    def _attend(self, connection: _Connection) -> None:
        try:
            if not connection.unsent:
                self._hear(connection)
            if connection.unsent:
                self._send(connection)
        except BlockingIOError:
            pass
        except StateError as error:
            logger.warning("%s response cannot be read: %s", self._kind, error)
            self._close(connection)
        except OSError as error:
            logger.debug("connection lost peer=%s error=%s", connection.peer, error)
            self._close(connection)

    def _hear(self, connection: _Connection) -> None:
        piece = connection.channel.recv(READ_SIZE)
        connection.heard += len(piece)
        if connection.conversation is None:
            connection.conversation = self._converse(connection.peer)
        connection.unsent = connection.conversation.hear(piece)
        said_enough = not piece or connection.heard > MOST_HEARD
        if not connection.unsent and (said_enough or connection.conversation.over):
            self._close(connection)

    def _send(self, connection: _Connection) -> None:
        sent = connection.channel.send(connection.unsent)
        connection.unsent = connection.unsent[sent:]
        conversation = connection.conversation
        waits_for = selectors.EVENT_WRITE if connection.unsent else selectors.EVENT_READ
        if connection.unsent or conversation is None or not conversation.over:
            self._selector.modify(connection.channel, waits_for, connection)
            return
        conversation.close()
        connection.channel.shutdown(socket.SHUT_WR)
        self._close(connection)

    def _close(self, connection: _Connection) -> None:
        if connection in self._connections:
            del self._connections[connection]
            self._selector.unregister(connection.channel)
            connection.channel.close()


def site(peer: str) -> bytes:
    """What of an address one subscriber has: of IPv6 the first 64 bits."""
    if ":" in peer:
        return socket.inet_pton(socket.AF_INET6, peer.partition("%")[0])[:8]
    return peer.encode()
