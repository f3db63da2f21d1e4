"""Ports that something forwards challenges to, held by the core for as long as it runs.

Another user of this machine could otherwise bind such a port between two validations, answer the
CA, and obtain a certificate for a gateway's name. The core has no response there: a gatecert that
presents one listens beside it and gets every connection (`challenge.listening`).
"""

from __future__ import annotations

import logging
import select
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from gatecert.challenge.bounded_server import ACCEPT_PAUSE_SECONDS, BACKLOG, READ_SIZE
from gatecert.challenge.listening import NOT_LOCAL, NOTHING_PRESENTED, hold, listen_error
from gatecert.challenge.socket_activation import NAME as HTTP_01

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

logger = logging.getLogger(__name__)

HIGHEST_PORT: Final = 65_535
REQUEST_SECONDS: Final = 10  # for which the kernel keeps a connection without a request


class HeldAddress(NamedTuple):
    """An address and a port that are held for a challenge type."""

    kind: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class HeldListeners:
    """Holds the ports that a configuration names, until it is closed."""

    def __init__(self) -> None:
        self._readable = select.epoll()
        self._wanted: tuple[HeldAddress, ...] = ()
        self._held: dict[HeldAddress, socket.socket] = {}
        self._refused: set[HeldAddress] = set()

    def fileno(self) -> int:
        """Return a descriptor, which is readable once there is a connection to turn away."""
        return self._readable.fileno()

    def keep(self, listen: Mapping[str, Iterable[str]]) -> None:
        """Hold these ports, and no others any more.

        Args:
            listen: By challenge type, each as address and port.
        """
        self._wanted = tuple(_addresses(listen))
        self._refused.intersection_update(self._wanted)
        for address in self._held.keys() - set(self._wanted):
            self._held.pop(address).close()
        self.hold()

    def hold(self) -> None:
        """Hold what could not be held yet."""
        for address in self._wanted:
            if address not in self._held:
                self._hold(address)

    def turn_away(self) -> None:
        """Answer that there is no response, and close the connection."""
        ready = {descriptor for descriptor, _ in self._readable.poll(0)}
        for address, listener in self._held.items():
            if listener.fileno() in ready:
                _turn_away(listener, NOTHING_PRESENTED if address.kind == HTTP_01 else b"")

    def close(self) -> None:
        """Hold nothing any more."""
        for listener in self._held.values():
            listener.close()
        self._readable.close()

    def _hold(self, address: HeldAddress) -> None:
        try:
            listener = self._held[address] = hold(address)
        except OSError as error:
            if address not in self._refused and error.errno not in NOT_LOCAL:
                refusal = listen_error(address, error, address.kind)
                logger.warning("%s", "; ".join(filter(None, (refusal.message, refusal.fix))))
            self._refused.add(address)
            return
        if address.kind == HTTP_01:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, REQUEST_SECONDS)
        self._readable.register(listener, select.EPOLLIN)
        self._refused.discard(address)
        logger.info("listening for %s address=%s", address.kind, address)


def _turn_away(listener: socket.socket, answer: bytes) -> None:
    for _ in range(BACKLOG):
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            logger.debug("cannot accept a connection: %s", error.strerror)
            time.sleep(ACCEPT_PAUSE_SECONDS)
            return
        with connection, suppress(OSError):
            connection.setblocking(False)  # noqa: FBT003 - positional only
            if answer and connection.recv(READ_SIZE):
                connection.send(answer)


def _addresses(listen: Mapping[str, Iterable[str]]) -> Iterable[HeldAddress]:
    for kind, addresses in listen.items():
        for address in addresses:
            host, _, port = address.rpartition(":")
            if port.isascii() and port.isdigit() and int(port) <= HIGHEST_PORT:
                yield HeldAddress(kind, host.strip("[]"), int(port))
