"""A nameserver on loopback that answers each record type as a row wants it, or not at all."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

if TYPE_CHECKING:
    from collections.abc import Mapping

Answer = list[str] | str | None  # addresses, the name of a response code, or silence


class Nameserver:
    """Answers over UDP, until it is left.

    Args:
        zone: By name (with its final dot) and record type. What is not in it has no records.
    """

    def __init__(self, zone: Mapping[tuple[str, str], Answer]) -> None:
        self.zone = dict(zone)
        self.silent = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopper:
            stopper.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            wire, peer = self._socket.recvfrom(65535)
            if not wire:
                return
            answer = self._answer(wire)
            if answer is not None and not self.silent:
                self._socket.sendto(answer, peer)

    def _answer(self, wire: bytes) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        found = self.zone.get((question.name.to_text().lower(), kind), [])
        if found is None:
            return None
        response = dns.message.make_response(query)
        if isinstance(found, str):
            response.set_rcode(dns.rcode.from_text(found))
        elif found:
            response.answer = [dns.rrset.from_text(question.name, 60, "IN", kind, *found)]
        return response.to_wire()
