"""Any response of a nameserver: addresses, aliases, CAA, TXT, referrals, malformed messages.

Answers are made for the question and then spoilt, for a resolver drops what does not belong to it.
They reach dnspython as they would from a socket, or over a real one where ours is beside the point.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest
from tests.fakes.nameserver import message_nameserver
from tests.fuzz.material import as_text, spoilt, texts
from tests.fuzz.promise import promised, refused_properly
from tests.fuzz.source import Make, Source, boolean, just, lists, mapped, one_of

from gatecert.challenge.dns01 import persist_record
from gatecert.challenge.dns01.nameservers import Nameserver
from gatecert.challenge.dns01.propagation import query_txt as ask_text
from gatecert.challenge.dns01.zones import Zones
from gatecert.deadline import Deadline
from gatecert.resolve import stub_resolver
from gatecert.resolve.caa import (
    CaaAnswer,
    CaaRequest,
    Property,
    domains_to_query,
    issuance_refusal,
    relevant_policy,
)
from gatecert.resolve.lookup import Family, combine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME: Final = "vpn.example.com."
NAMES: Final = (
    NAME, "example.com.", "com.", ".", "alias.example.com.", "_acme-challenge.vpn.example.com.",
    "b.example.net.", "*.example.com.", "\\000\\255.example.com.", "a" * 63 + ".example.com.",
    ".".join(["a" * 60] * 4) + ".",
)  # fmt: skip
TYPES: Final = ("A", "AAAA", "CNAME", "SOA", "NS", "CAA", "TXT", "DNAME", "HTTPS", "TYPE65280")
CODES: Final = (0, 0, 0, 0, 0, 1, 2, 3, 3, 5, 9, 15)


def records(source: Source) -> dns.rrset.RRset:
    """A record set of any type with any content, in the form in which it stands on the wire."""
    kind = dns.rdatatype.from_text(source.choice(TYPES))
    found = dns.rrset.RRset(dns.name.from_text(source.choice(NAMES)), dns.rdataclass.IN, kind)
    found.ttl = source.choice((0, 1, 300, 2**31 - 1))
    for _ in range(source.integer(1, 3)):
        data = contents(kind)(source)
        found.items[dns.rdata.GenericRdata(dns.rdataclass.IN, kind, data)] = None
    return found


WIRES: Final = tuple(dns.name.from_text(name).to_wire() or b"" for name in NAMES)
SOA: Final = tuple(name + name + b"\0\0\1\0" * 5 for name in WIRES)
ISSUE: Final = b"\0\5issueca.test"
CONTENTS: Final[dict[int, tuple[bytes, ...]]] = {
    dns.rdatatype.A: (b"\x7f\0\0\1", b"\xc0\0\2\7", b"\0\0\0\0", b"\xff\xff\xff\xff"),
    dns.rdatatype.AAAA: (b"\0" * 16, b"\x20\1" + b"\7" * 14, b"\0" * 10 + b"\xff" * 6),
    dns.rdatatype.CNAME: WIRES,
    dns.rdatatype.NS: WIRES,
    dns.rdatatype.DNAME: WIRES,
    dns.rdatatype.SOA: SOA,
    dns.rdatatype.CAA: (
        ISSUE, b"\0\5issue;", b"\x80\5iodefmailto:x", b"\0\x09issuewildca.test",
        b"\x80\1\xff\x1b[2J",
        ISSUE + b"; validationmethods=dns-01; accounturi=https://ca.test/2", b"\0\0",
    ),
    dns.rdatatype.TXT: (b"\5value", b"\0", b"\1a\1b", b"\3\xff\0\x1b"),
}  # fmt: skip


@cache
def contents(kind: int) -> Make[bytes]:
    """Return the content of a record of a type."""
    right = just(*CONTENTS.get(kind, (b"\0\1\0",)))
    return one_of(right, right, right, spoilt(right))


@dataclass(frozen=True)
class Reply:
    """Return a nameserver's response to any query.

    Attributes:
        spoil: Octets to change, as pairs of position and value; positions behind the question.
    """

    code: int
    flags: int
    answer: tuple[dns.rrset.RRset, ...]
    authority: tuple[dns.rrset.RRset, ...]
    spoil: tuple[tuple[int, int], ...]
    cut: int | None

    def wire(self, question: dns.message.Message) -> bytes:
        response = dns.message.make_response(question)
        response.set_rcode(self.code)  # type: ignore[arg-type] # a number
        response.flags |= self.flags
        response.answer = list(self.answer)
        response.authority = list(self.authority)
        data = bytearray(response.to_wire(max_size=65535))
        begin = len(question.to_wire())
        for position, value in self.spoil:
            if begin < len(data):
                data[begin + position % (len(data) - begin)] = value
        return bytes(data if self.cut is None else data[: max(begin, self.cut)])


def replies(source: Source) -> Reply:
    """Any answer to any question."""
    return Reply(
        code=source.choice(CODES),
        flags=source.choice((0, 0, 0, int(dns.flags.AA), int(dns.flags.TC))),
        answer=tuple(records(source) for _ in range(source.integer(0, 4))),
        authority=tuple(records(source) for _ in range(source.integer(0, 2))),
        spoil=tuple(
            (source.integer(0, 600), source.integer(0, 255))
            for _ in range(source.choice((0, 0, 1, 4)))
        ),
        cut=source.choice((None, None, None, 20, 50, 90, 200)),
    )


class Played(dns.nameserver.Nameserver):
    """A nameserver without a network in between."""

    def __init__(self, said: tuple[Reply, ...]) -> None:
        self.said = said
        self.asked = 0

    def __str__(self) -> str:
        return "192.0.2.53:53"

    def kind(self) -> str:
        return "played"

    def is_always_max_size(self) -> bool:
        return True

    def answer_nameserver(self) -> str:
        return str(self)

    def answer_port(self) -> int:
        return 53

    def query(self, request: dns.message.QueryMessage, *_: object, **__: object) -> Any:  # noqa: ANN401 - as in dnspython
        self.asked += 1
        assert self.asked < 200, "asked without end"
        reply = self.said[min(self.asked, len(self.said)) - 1]
        response = dns.message.from_wire(reply.wire(request))
        if not request.is_response(response):
            raise dns.exception.FormError
        return response


def stub(said: tuple[Reply, ...]) -> stub_resolver.StubResolver:
    resolver = dns.resolver.Resolver(configure=False)
    played = Played(said)
    resolver.nameservers = [played]
    return stub_resolver.StubResolver(resolver, str(played))


values = one_of(
    texts,
    as_text(
        spoilt(just(b"ca.test; validationmethods=http-01; accounturi=https://ca.test/account/1"))
    ),
)
several = mapped(lists(replies, 3, least=1), tuple)


@promised(several, share=12)
def test_addresses(said: tuple[Reply, ...]) -> None:
    answers = [stub(said).query_addresses(NAME, family, Deadline.after(0.5)) for family in Family]
    found = combine(NAME, answers)
    for address in found.addresses:
        ipaddress.ip_address(address)
    assert found.detail.isprintable()
    assert len(found.detail) < 2000
    assert found.time_to_live is None or found.time_to_live >= timedelta(0)


@promised(several, share=15)
def test_caa(said: tuple[Reply, ...]) -> None:
    found = stub(said).query_caa(NAME, Deadline.after(0.5))
    assert found.failure.isprintable()
    check_policy(found)


APPLICANT: Final = CaaRequest(
    identities=("ca.test",), account_url="https://ca.test/account/1", methods=("http-01",)
)


def check_policy(found: CaaAnswer) -> None:
    for name in ("vpn.example.com", "*.vpn.example.com"):
        said = relevant_policy(name, dict.fromkeys(domains_to_query(name), found))
        reason = issuance_refusal(said, APPLICANT)
        assert reason == "" or reason.isprintable()


@promised(
    lists(
        lambda source: Property(
            boolean(source),
            source.choice(("issue", "issue", "issuewild", "iodef", texts(source))),
            values(source),
        ),
        4,
    ),
    share=60,
)
def test_caa_properties(properties: list[Property]) -> None:
    check_policy(CaaAnswer(tuple(properties)))


STANDING: Final = b"ca.test; accounturi=https://ca.test/account/1; policy=wildcard; persistUntil=9"


@promised(lists(one_of(texts, as_text(spoilt(just(STANDING)))), 3), share=60)
def test_standing_records(found: list[str]) -> None:
    wanted = persist_record.ExpectedRecord(
        "vpn.example.com", ("ca.test",), "https://ca.test/1", wildcard=False
    )
    assert persist_record.record_problem(
        found, wanted, now=datetime(2026, 11, 23, tzinfo=UTC)
    ).isprintable()


# --------------------------------------------------------------------------- over a socket


class Wire:
    """A nameserver on loopback that says what the property has drawn."""

    def __init__(self) -> None:
        self.said: tuple[Reply, ...] = ()
        self.asked = 0
        self._server = message_nameserver(self._answer)
        self.endpoint = self._server.__enter__()

    def _answer(self, question: dns.message.Message, _: str) -> Sequence[bytes]:
        self.asked += 1
        return [self.said[min(self.asked, len(self.said)) - 1].wire(question)]

    def says(self, said: tuple[Reply, ...]) -> None:
        self.said, self.asked = said, 0

    def close(self) -> None:
        self._server.__exit__(None, None, None)


@cache
def wire() -> Wire:
    return Wire()


@pytest.fixture(scope="session", autouse=True)  # workers may come back to a module
def _tidy() -> Iterator[None]:
    yield
    if wire.cache_info().currsize:
        wire().close()


TEXT: Final = "_acme-challenge.vpn.example.com"


@promised(several, examples=60, share=1)
def test_text_records_of_a_nameserver(said: tuple[Reply, ...]) -> None:
    wire().says(said)
    found = ask_text(Nameserver("ns1.example.com", wire().endpoint), TEXT, 0.02)
    assert found.problem.isprintable()


@promised(several, just(None, "example.com"), examples=60, share=1)
def test_the_place_of_a_record(said: tuple[Reply, ...], zone: str | None) -> None:
    server = wire()
    server.says(said)
    zones = Zones(
        (server.endpoint,), timedelta(seconds=0.1), zone=zone, authoritative=(server.endpoint,)
    )
    with refused_properly():
        place = zones.locate(TEXT)
        assert place.name.isprintable()
        for nameserver in zones.nameservers(place.zone):
            assert nameserver.endpoint == server.endpoint
