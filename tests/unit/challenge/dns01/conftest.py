"""Nameservers on loopback that say what the test tells them to, and a journal in memory."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from gatecert.model import Endpoint, PublishedRecord, TextRecord

if TYPE_CHECKING:
    from datetime import datetime

    from gatecert.errors import StorageError

Handler: TypeAlias = Callable[[bytes, str], bytes | None]
StartNameserver: TypeAlias = Callable[[Handler], Endpoint]

LOOPBACK = "127.0.0.1"
SOA = "ns1. hostmaster. 1 3600 600 86400 1"


@dataclass
class Zones:
    """What a nameserver knows; a handler for ``nameserver``.

    Attributes:
        zones: Names of its zones; others are refused.
        records: Texts of records by name and type; aliases are not followed. Wildcards answer for
            names that do not exist.
        delegated: Zones of others, by name, with their nameserver.
        asked: Every question so far: name and type.
        authoritative: Whether it says that it speaks for its zones.
    """

    zones: Sequence[str]
    records: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    delegated: Mapping[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    authoritative: bool = True

    def __call__(self, wire: bytes, transport: str) -> bytes:
        del transport
        query = dns.message.from_wire(wire)
        response = dns.message.make_response(query)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        zone = self._around(name, self.zones)
        delegation = self._around(name, self.delegated)
        if zone is None:
            response.set_rcode(dns.rcode.REFUSED)
        elif delegation is not None:
            response.authority.append(_rrset(delegation, "NS", [self.delegated[delegation]]))
        else:
            self._answer(response, name, kind, zone)
        return response.to_wire()

    def _answer(self, response: dns.message.Message, name: str, kind: str, zone: str) -> None:
        if self.authoritative:
            response.flags |= dns.flags.AA
        known = {**self.records, (zone, "SOA"): [SOA]}
        exists = any(name == other or other.endswith(f".{name}") for other, _ in known)
        source = name if exists else self._wildcard(name, known)
        for each in (kind, "CNAME"):
            if (source, each) in known:
                response.answer.append(_rrset(name, each, known[source, each]))
                return
        if not exists:
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(_rrset(zone, "SOA", [SOA]))

    @staticmethod
    def _wildcard(name: str, known: Mapping[tuple[str, str], Sequence[str]]) -> str:
        """The one below the closest name that exists (RFC 4592 section 3.3.1)."""
        above = name
        while above and not any(each == above or each.endswith(f".{above}") for each, _ in known):
            above = above.partition(".")[2]
        return f"*.{above}"

    @staticmethod
    def _around(name: str, zones: Sequence[str] | Mapping[str, str]) -> str | None:
        found = [zone for zone in zones if name == zone or name.endswith(f".{zone}")]
        return max(found, key=len, default=None)


def _rrset(name: str, kind: str, texts: Sequence[str]) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(f"{name}.", 1, "IN", kind, list(texts))


class Journal:
    """Published records in memory.

    Attributes:
        steps: What was done, in order.
        broken: What to raise from the named methods.
    """

    def __init__(self) -> None:
        self.entries: dict[str, PublishedRecord] = {}
        self.steps: list[str] = []
        self.broken: dict[str, StorageError] = {}

    def add_record(self, record: TextRecord, *, now: datetime) -> PublishedRecord:
        self._step("add", record)
        published = PublishedRecord(f"id{len(self.steps)}", record, now)
        self.entries[published.id] = published
        return published

    def records(self) -> tuple[PublishedRecord, ...]:
        if "records" in self.broken:
            raise self.broken["records"]
        return tuple(self.entries.values())

    def abandon_record(self, published: PublishedRecord) -> None:
        self._step("abandon", published.record)
        self.entries[published.id] = replace(published, abandoned=True)

    def remove_record(self, published: PublishedRecord) -> None:
        self._step("remove", published.record)
        self.entries.pop(published.id, None)

    def _step(self, name: str, record: TextRecord) -> None:
        if name in self.broken:
            raise self.broken[name]
        self.steps.append(f"{name} {record.name}")


@pytest.fixture
def journal() -> Journal:
    return Journal()


# --------------------------------------------------------------------------- sockets


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
    response = handler(wire, "udp")
    if response is not None:
        udp.sendto(response, peer)


def _answer_tcp(tcp: socket.socket, handler: Handler) -> None:
    connection, _ = tcp.accept()
    with connection, connection.makefile("rb") as stream:
        (length,) = struct.unpack("!H", stream.read(2))
        response = handler(stream.read(length), "tcp")
        if response is not None:
            connection.sendall(struct.pack("!H", len(response)) + response)


@contextlib.contextmanager
def _nameserver(handler: Handler) -> Iterator[Endpoint]:
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


@pytest.fixture
def nameserver() -> Iterator[StartNameserver]:
    """Starts a nameserver: a handler gets wire text and "udp" or "tcp", gives wire text or None."""
    with contextlib.ExitStack() as stack:
        yield lambda handler: stack.enter_context(_nameserver(handler))


@pytest.fixture
def truncated_only() -> Handler:
    """Truncates every answer over UDP, and closes TCP connections without one."""

    def handle(wire: bytes, transport: str) -> bytes | None:
        if transport == "tcp":
            return None
        response = dns.message.make_response(dns.message.from_wire(wire))
        response.flags |= dns.flags.TC
        return response.to_wire()

    return handle


@pytest.fixture
def make_zones() -> type[Zones]:
    return Zones
