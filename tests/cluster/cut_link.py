"""A link between a host and its database that can be cut: what is sent meanwhile vanishes."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

HOST = "127.0.0.1"
CHUNK = 65_536


class Link:
    """Forwards connections to a port of this machine.

    Args:
        port: Where they go.

    Attributes:
        lost: Bytes that have vanished.
    """

    def __init__(self, port: int) -> None:
        self.lost = 0
        self._target = port
        self._is_cut = threading.Event()
        self._lock = threading.Lock()
        self._open = ExitStack()
        self._listener = socket.create_server((HOST, 0))

    @property
    def address(self) -> str:
        """``host:port`` for the host."""
        return f"{HOST}:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """Let everything vanish, without an end of any connection."""
        self._is_cut.set()

    def heal(self) -> None:
        """Forward new connections again; the ones that have lost bytes end."""
        self._close_all()
        self._is_cut.clear()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._close_all()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                with suppress(OSError):
                    self._forward(near, socket.create_connection((HOST, self._target)))

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        with self._lock:
            for end in (near, far):
                self._open.callback(_close, end)
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                if self._is_cut.is_set():
                    self.lost += len(data)
                else:
                    sink.sendall(data)
        if not self._is_cut.is_set():
            _close(sink)

    def _close_all(self) -> None:
        with self._lock:
            self._open.close()


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
