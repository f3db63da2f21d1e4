"""A nameserver on loopback, UDP and TCP on one port, whose answers the test chooses."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import dns.message
from tests.fakes.loopback import LOOPBACK

from gatecert.model import Endpoint

Handler: TypeAlias = Callable[[bytes, str], bytes | None]
MessageHandler: TypeAlias = Callable[[dns.message.Message, str], Sequence[bytes]]
_Responses: TypeAlias = Callable[[bytes, str], Sequence[bytes]]
StartNameserver: TypeAlias = Callable[[Handler], Endpoint]


def _bind() -> tuple[socket.socket, socket.socket]:
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind((LOOPBACK, 0))
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            tcp.bind(udp.getsockname())
        except OSError:  # the port is taken for TCP: try another
            udp.close()
            tcp.close()
            continue
        tcp.listen()
        return udp, tcp


def _answer_udp(udp: socket.socket, handler: _Responses) -> None:
    wire, peer = udp.recvfrom(65535)
    for response in handler(wire, "udp"):
        udp.sendto(response, peer)


def _answer_tcp(tcp: socket.socket, handler: _Responses) -> None:
    connection, _ = tcp.accept()
    with connection, connection.makefile("rb") as stream:
        (length,) = struct.unpack("!H", stream.read(2))
        for response in handler(stream.read(length), "tcp"):
            connection.sendall(struct.pack("!H", len(response)) + response)


@contextlib.contextmanager
def wire_nameserver(handler: Handler) -> Iterator[Endpoint]:
    """Run a nameserver whose handler gets wire data and "udp" or "tcp", and returns wire data."""

    def respond(wire: bytes, transport: str) -> Sequence[bytes]:
        response = handler(wire, transport)
        return () if response is None else (response,)

    with _nameserver(respond) as endpoint:
        yield endpoint


@contextlib.contextmanager
def message_nameserver(handler: MessageHandler) -> Iterator[Endpoint]:
    """Run a nameserver whose handler gets a parsed query and returns any number of responses."""
    with _nameserver(lambda wire, transport: handler(dns.message.from_wire(wire), transport)) as at:
        yield at


@contextlib.contextmanager
def _nameserver(handler: _Responses) -> Iterator[Endpoint]:
    udp, tcp = _bind()
    stop, stopper = socket.socketpair()

    def serve() -> None:
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

    thread = threading.Thread(target=serve)
    with udp, tcp, stop, stopper:
        thread.start()
        try:
            yield Endpoint(*udp.getsockname())
        finally:
            stopper.send(b"!")
            thread.join()
