"""The core's end of a worker's connection."""

from __future__ import annotations

import socket

from gatecert.supervision.child_connection import Connection
from gatecert.supervision.messages import LineReader, Message, decode


class PlayedCore:
    """The core's end of a connection."""

    def __init__(self) -> None:
        self.socket, self.theirs = socket.socketpair()
        self.connection = Connection(self.theirs)

    def received(self, number: int) -> list[Message]:
        """Return the next messages that the worker has sent."""
        reader, found = LineReader(), list[Message]()
        while len(found) < number:
            found += map(decode, reader.feed(self.socket.recv(1 << 16)))
        return found
