"""Zones that a nameserver on loopback answers for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

SOA = "ns1. hostmaster. 1 3600 600 86400 1"


@dataclass
class Zones:
    """The records of a nameserver; a handler for ``nameserver``.

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
