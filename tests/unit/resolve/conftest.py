"""A nameserver on loopback, UDP and TCP on one port, with answers from a handler."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from typing import TYPE_CHECKING

import dns.message
import pytest

from gatecert.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Handler = Callable[[dns.message.Message, str], Sequence[bytes]]

LOOPBACK = "127.0.0.1"


def _bind() -> tuple[socket.socket, socket.socket]:
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind((LOOPBACK, 0))
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            tcp.bind(udp.getsockname())
        except OSError:  # somebody has this port for TCP: take the next
            udp.close()
            tcp.close()
            continue
        tcp.listen()
        return udp, tcp


def _answer_udp(udp: socket.socket, handler: Handler) -> None:
    wire, peer = udp.recvfrom(65535)
    for response in handler(dns.message.from_wire(wire), "udp"):
        udp.sendto(response, peer)


def _answer_tcp(tcp: socket.socket, handler: Handler) -> None:
    connection, _ = tcp.accept()
    with connection, connection.makefile("rb") as stream:
        (length,) = struct.unpack("!H", stream.read(2))
        query = dns.message.from_wire(stream.read(length))
        for response in handler(query, "tcp"):
            connection.sendall(struct.pack("!H", len(response)) + response)


def _serve(udp: socket.socket, tcp: socket.socket, stop: socket.socket, handler: Handler) -> None:
    with selectors.DefaultSelector() as selector:
        for each in (udp, tcp, stop):
            selector.register(each, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if stop in ready:
                return
            if udp in ready:
                _answer_udp(udp, handler)
            if tcp in ready:
                _answer_tcp(tcp, handler)


@contextlib.contextmanager
def _nameserver(handler: Handler) -> Iterator[Endpoint]:
    udp, tcp = _bind()
    stop, stopper = socket.socketpair()
    thread = threading.Thread(target=_serve, args=(udp, tcp, stop, handler))
    with udp, tcp, stop, stopper:
        thread.start()
        try:
            yield Endpoint(*udp.getsockname())
        finally:
            stopper.send(b"!")
            thread.join()


@pytest.fixture
def nameserver() -> Iterator[Callable[[Handler], Endpoint]]:
    """Start nameservers; a handler gets a query and "udp" or "tcp" and returns wire data."""
    with contextlib.ExitStack() as stack:
        yield lambda handler: stack.enter_context(_nameserver(handler))
