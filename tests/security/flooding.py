"""A flood of connections, as a program: `flooding.py KIND HOST PORT RATE SOURCE…`.

- ``http-01``: a request whose bytes come 50 ms after the connection.
- ``tls-alpn-01``: a TLS 1.2 ClientHello at once, and nothing after that.

Runs until it gets SIGTERM, then prints how many connections the server accepted and how many
seconds it ran.
"""

from __future__ import annotations

import errno
import itertools
import select
import signal
import socket
import ssl
import sys
import time
from collections import deque
from contextlib import suppress

NAME = "boston-0.example.com"
LATE = {"http-01": 0.05, "tls-alpn-01": 0.0}  # seconds before the first byte
HELD = 1.0  # seconds that the attacker keeps a connection
MOST = 4000  # connections at the same time
UNDER_WAY = {0, errno.EINPROGRESS}
IP_BIND_ADDRESS_NO_PORT = 24  # ip(7)


def hello() -> bytes:
    """Return a TLS 1.2 ClientHello for acme-tls/1."""
    context = ssl.create_default_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["acme-tls/1"])
    sent = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=NAME)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


class Flood:
    """The connections of the attacker."""

    def __init__(self, kind: str, where: tuple[str, int], sources: list[str]) -> None:
        self._words = hello() if kind == "tls-alpn-01" else b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        self._late = LATE[kind]
        self._where = where
        self._sources = itertools.cycle(sources)
        self._family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
        self._poll = select.epoll()
        self._channels: dict[int, socket.socket] = {}
        self._to_send: deque[tuple[float, int]] = deque()
        self._to_close: deque[tuple[float, int, socket.socket]] = deque()
        self.accepted = 0

    def open(self) -> None:
        """Open a connection."""
        channel = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
        channel.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        channel.bind((next(self._sources), 0))
        if channel.connect_ex(self._where) not in UNDER_WAY:
            channel.close()
            return
        self._channels[channel.fileno()] = channel
        self._to_close.append((time.monotonic() + HELD, channel.fileno(), channel))
        self._poll.register(channel, select.EPOLLOUT | select.EPOLLONESHOT)

    def step(self, seconds: float) -> None:
        """Do what is due, for some time."""
        for descriptor, event in self._poll.poll(seconds):
            if event & select.EPOLLERR:
                self._close(descriptor)
            else:
                self.accepted += 1
                self._to_send.append((time.monotonic() + self._late, descriptor))
        now = time.monotonic()
        while self._to_send and self._to_send[0][0] <= now:
            _, descriptor = self._to_send.popleft()
            if descriptor in self._channels:
                with suppress(OSError):
                    self._channels[descriptor].send(self._words)
        while self._to_close and (self._to_close[0][0] <= now or len(self._to_close) > MOST):
            _, descriptor, channel = self._to_close.popleft()
            if self._channels.get(descriptor) is channel:
                self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        self._channels.pop(descriptor).close()


def main() -> None:
    """Flood until SIGTERM."""
    kind, host, port, rate, *sources = sys.argv[1:]
    over = False

    def end(*_: object) -> None:
        nonlocal over
        over = True

    signal.signal(signal.SIGTERM, end)
    flood = Flood(kind, (host, int(port)), sources)
    began, opened = time.monotonic(), 0
    while not over:
        flood.step(0.001)
        due = int((time.monotonic() - began) * int(rate))
        for _ in range(min(due - opened, 64)):
            flood.open()
        opened = due
    print(flood.accepted, f"{time.monotonic() - began:.1f}")  # noqa: T201


if __name__ == "__main__":
    main()
