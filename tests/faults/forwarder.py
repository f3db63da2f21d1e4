"""Hands the CA's connections on, as a reverse proxy does that has its port."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

LOOPBACK = "127.0.0.1"


class Forwarder:
    """Hands connections from one port on to another; the first bytes come late.

    Attributes:
        attempts: How many connections came.
    """

    def __init__(self, port: int, upstream: int, *, late: float = 0.0) -> None:
        self._listener = socket.create_server((LOOPBACK, port))
        self._upstream = upstream
        self._late = late
        self.attempts = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                visitor, _ = self._listener.accept()
                self.attempts += 1
                threading.Thread(target=self._forward, args=(visitor,), daemon=True).start()

    def _forward(self, visitor: socket.socket) -> None:
        where = (LOOPBACK, self._upstream)
        with (
            visitor,
            suppress(OSError),
            socket.create_connection(where, 5) as upstream,
        ):
            time.sleep(self._late)
            _pump(visitor, upstream)


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Hand bytes over both ways until one side closes."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while events := selector.select(10):
            for key, _ in events:
                data = key.fileobj.recv(65536)  # type: ignore[union-attr] # a socket
                if not data:
                    return
                key.data.sendall(data)
