from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from gatecert.deadline import Deadline
from gatecert.errors import ResolutionError
from gatecert.model import Endpoint
from gatecert.resolve.lookup import Family, FamilyAnswer, LookupStatus
from gatecert.resolve.stub_resolver import configured_stub, system_stub

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Handler = Callable[[dns.message.Message, str], Sequence[bytes]]
    StartNameserver = Callable[[Handler], Endpoint]

NAME = "boston.example.com"
SOA = "example.com. 120 SOA ns.example.com. admin.example.com. 1 2 3 4 90"

pytestmark = pytest.mark.enable_socket


def respond(
    query: dns.message.Message,
    answer: str = "",
    *,
    authority: str = "",
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
) -> dns.message.Message:
    """Build a response with resource records, one a line: name, TTL, type, data."""
    response = dns.message.make_response(query)
    response.set_rcode(rcode)
    response.answer = [record(line) for line in answer.splitlines()]
    response.authority = [record(line) for line in authority.splitlines()]
    return response


def record(line: str) -> dns.rrset.RRset:
    name, ttl, kind, data = line.split(maxsplit=3)
    return dns.rrset.from_text(name, int(ttl), "IN", kind, data)


def always(answer: str = "", *, authority: str = "", rcode: str = "NOERROR") -> Handler:
    """Return a handler that answers every query alike."""
    code = dns.rcode.from_text(rcode)
    return lambda query, _: [respond(query, answer, authority=authority, rcode=code).to_wire()]


def by_name(answers: dict[str, str]) -> Handler:
    """Return a handler that answers by the queried name and follows no alias."""
    return lambda query, _: [
        respond(query, answers[query.question[0].name.to_text(omit_final_dot=True)]).to_wire()
    ]


def silent(_query: dns.message.Message, _transport: str) -> list[bytes]:
    return []


def ask_all(
    nameservers: Sequence[Endpoint],
    *,
    name: str = NAME,
    family: Family = Family.IPV4,
    seconds: float = 3.0,
) -> FamilyAnswer:
    stub = configured_stub(nameservers, seconds)
    return stub.query_addresses(name, family, Deadline.after(seconds))


def seconds_to_live(answer: FamilyAnswer) -> float | None:
    return None if answer.time_to_live is None else answer.time_to_live.total_seconds()


# --------------------------------------------------------------------------- addresses


def test_every_address_and_the_ttl_are_returned(nameserver: StartNameserver) -> None:
    server = nameserver(always(f"{NAME}. 60 A 203.0.113.7\n{NAME}. 60 A 203.0.113.8"))
    answer = ask_all([server])
    assert answer.status is LookupStatus.ADDRESSES
    assert set(answer.addresses) == {"203.0.113.7", "203.0.113.8"}
    assert seconds_to_live(answer) == 60
    assert answer.detail == ""


def test_ipv6_is_queried_by_aaaa(nameserver: StartNameserver) -> None:
    server = nameserver(always(f"{NAME}. 60 AAAA 2001:db8::1"))
    assert ask_all([server], family=Family.IPV6).addresses == ("2001:db8::1",)


def test_names_are_absolute(nameserver: StartNameserver, tmp_path: Path) -> None:
    asked: list[str] = []

    def handler(query: dns.message.Message, _: str) -> list[bytes]:
        asked.append(query.question[0].name.to_text())
        return [respond(query, rcode=dns.rcode.NXDOMAIN).to_wire()]

    server = nameserver(handler)
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("search corp.example\nnameserver 127.0.0.1\noptions ndots:5\n")
    stub = system_stub(resolv_conf, 3.0)
    stub.resolver.nameservers = configured_stub([server], 3.0).resolver.nameservers
    stub.query_addresses("gateway", Family.IPV4, Deadline.after(3.0))
    assert asked == ["gateway."]


def test_a_truncated_answer_is_retried_over_tcp(nameserver: StartNameserver) -> None:
    over: list[str] = []

    def handler(query: dns.message.Message, transport: str) -> list[bytes]:
        over.append(transport)
        response = respond(query, f"{NAME}. 60 A 203.0.113.7" if transport == "tcp" else "")
        response.flags |= 0 if transport == "tcp" else dns.flags.TC
        return [response.to_wire()]

    assert ask_all([nameserver(handler)]).addresses == ("203.0.113.7",)
    assert over == ["udp", "tcp"]


def test_answers_to_other_queries_are_ignored(nameserver: StartNameserver) -> None:
    def handler(query: dns.message.Message, _: str) -> list[bytes]:
        forged = respond(query, f"{NAME}. 60 A 192.0.2.66")
        forged.id = query.id ^ 1
        other_name = dns.message.make_response(dns.message.make_query("evil.example.", "A"))
        other_name.id = query.id
        right = respond(query, f"{NAME}. 60 A 203.0.113.7")
        return [forged.to_wire(), b"\x00garbage", other_name.to_wire(), right.to_wire()]

    assert ask_all([nameserver(handler)]).addresses == ("203.0.113.7",)


# --------------------------------------------------------------------------- aliases


def test_aliases_in_one_answer_are_followed(nameserver: StartNameserver) -> None:
    records = f"{NAME}. 300 CNAME a.example.net.\na.example.net. 20 CNAME b.example.net."
    answer = ask_all([nameserver(always(f"{records}\nb.example.net. 60 A 203.0.113.7"))])
    assert answer.addresses == ("203.0.113.7",)
    assert seconds_to_live(answer) == 20
    assert answer.detail == "alias of b.example.net"


def test_aliases_in_several_answers_are_followed(nameserver: StartNameserver) -> None:
    server = nameserver(
        by_name(
            {
                NAME: f"{NAME}. 300 CNAME a.example.net.",
                "a.example.net": "a.example.net. 20 CNAME b.example.org.",
                "b.example.org": "b.example.org. 60 A 203.0.113.7",
            }
        )
    )
    answer = ask_all([server])
    assert answer.addresses == ("203.0.113.7",)
    assert seconds_to_live(answer) == 20
    assert answer.detail == "alias of b.example.org"


def test_a_cname_loop_over_several_answers_is_a_failure(nameserver: StartNameserver) -> None:
    server = nameserver(
        by_name(
            {
                NAME: f"{NAME}. 300 CNAME a.example.net.",
                "a.example.net": f"a.example.net. 300 CNAME {NAME}.",
            }
        )
    )
    answer = ask_all([server])
    assert answer.status is LookupStatus.SERVER_FAILURE
    assert answer.detail == f"CNAME loop at {NAME}"


def test_a_cname_loop_in_one_answer_is_a_failure(nameserver: StartNameserver) -> None:
    server = nameserver(always(f"{NAME}. 60 CNAME a.example.\na.example. 60 CNAME {NAME}."))
    answer = ask_all([server])
    assert answer.status is LookupStatus.SERVER_FAILURE
    assert answer.detail == f"{server} answered with a CNAME loop"


def test_an_endless_chain_of_aliases_is_a_failure(nameserver: StartNameserver) -> None:
    asked: list[str] = []

    def handler(query: dns.message.Message, _: str) -> list[bytes]:
        name = query.question[0].name.to_text()
        asked.append(name)
        return [respond(query, f"{name} 60 CNAME n{len(asked)}.example.").to_wire()]

    assert ask_all([nameserver(handler)]).status is LookupStatus.SERVER_FAILURE
    assert len(asked) == 16


def test_the_target_without_address_is_not_queried_again(nameserver: StartNameserver) -> None:
    asked: list[str] = []

    def handler(query: dns.message.Message, _: str) -> list[bytes]:
        asked.append(query.question[0].name.to_text())
        records = f"{NAME}. 300 CNAME www.example.com."
        return [respond(query, records, authority=SOA).to_wire()]

    answer = ask_all([nameserver(handler)])
    assert asked == [f"{NAME}."]
    assert answer.status is LookupStatus.NO_ADDRESS
    assert seconds_to_live(answer) == 90


def test_an_alias_of_a_missing_name_is_nxdomain(nameserver: StartNameserver) -> None:
    records = f"{NAME}. 30 CNAME gone.example.com."
    answer = ask_all([nameserver(always(records, authority=SOA, rcode="NXDOMAIN"))])
    assert answer.status is LookupStatus.NO_SUCH_NAME
    assert seconds_to_live(answer) == 30
    assert answer.detail == "alias of gone.example.com"


# --------------------------------------------------------------------------- no address


@pytest.mark.parametrize(
    ("authority", "seconds"),
    [
        (SOA, 90),
        (SOA.replace(" 120 ", " 45 "), 45),
        ("", None),
        ("example.com. 60 NS ns.example.com.", None),
        (SOA.replace("example.com. 120", "elsewhere.invalid. 120"), None),
    ],
)
@pytest.mark.parametrize(
    ("rcode", "status"),
    [("NOERROR", LookupStatus.NO_ADDRESS), ("NXDOMAIN", LookupStatus.NO_SUCH_NAME)],
)
def test_negative_answers_have_the_negative_ttl_of_their_zone(
    nameserver: StartNameserver,
    authority: str,
    seconds: int | None,
    rcode: str,
    status: LookupStatus,
) -> None:
    answer = ask_all([nameserver(always(authority=authority, rcode=rcode))])
    assert answer.status is status
    assert answer.addresses == ()
    assert seconds_to_live(answer) == seconds


# --------------------------------------------------------------------------- failures


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NOTIMP"])
def test_an_error_code_is_a_server_failure(nameserver: StartNameserver, rcode: str) -> None:
    server = nameserver(always(rcode=rcode))
    answer = ask_all([server])
    assert answer.status is LookupStatus.SERVER_FAILURE
    assert answer.detail == f"{server} answered {rcode}"


def test_the_next_server_is_queried_when_one_fails(nameserver: StartNameserver) -> None:
    failing = nameserver(always(rcode="SERVFAIL"))
    good = nameserver(always(f"{NAME}. 60 A 203.0.113.7"))
    assert ask_all([failing, good]).addresses == ("203.0.113.7",)


def test_every_server_that_failed_is_named(nameserver: StartNameserver) -> None:
    first, second = nameserver(always(rcode="SERVFAIL")), nameserver(always(rcode="REFUSED"))
    answer = ask_all([first, second])
    assert answer.detail == f"{first} answered SERVFAIL, {second} answered REFUSED"


def test_a_silent_server_times_out(nameserver: StartNameserver) -> None:
    server = nameserver(silent)
    answer = ask_all([server], seconds=0.15)
    assert answer.status is LookupStatus.TIMEOUT
    assert answer.detail == f"{server} did not answer"


def test_a_lost_answer_is_retried(nameserver: StartNameserver) -> None:
    lost = threading.Event()

    def handler(query: dns.message.Message, _: str) -> list[bytes]:
        if not lost.is_set():
            lost.set()
            return []
        return [respond(query, f"{NAME}. 60 A 203.0.113.7").to_wire()]

    stub = configured_stub([nameserver(handler)], 3.0)
    stub.resolver.timeout = 0.05
    answer = stub.query_addresses(NAME, Family.IPV4, Deadline.after(3.0))
    assert answer.addresses == ("203.0.113.7",)


def test_a_passed_deadline_is_a_timeout() -> None:
    stub = configured_stub([Endpoint("127.0.0.1", 9)], 1.0)
    answer = stub.query_addresses(NAME, Family.IPV4, Deadline.after(0))
    assert answer.status is LookupStatus.TIMEOUT
    assert answer.detail == "no time was left to ask 127.0.0.1:9"


def test_a_truncating_server_without_tcp_is_a_failure(nameserver: StartNameserver) -> None:
    def handler(query: dns.message.Message, transport: str) -> list[bytes]:
        response = respond(query)
        response.flags |= dns.flags.TC
        return [] if transport == "tcp" else [response.to_wire()]

    server = nameserver(handler)
    answer = ask_all([server])
    assert answer.status is LookupStatus.SERVER_FAILURE
    assert answer.detail == f"{server} closed the TCP connection without an answer"


def test_an_unreachable_server_is_a_failure() -> None:
    # The socket option that would allow sending to a broadcast address is not set.
    answer = ask_all([Endpoint("255.255.255.255", 53)])
    assert answer.status is LookupStatus.SERVER_FAILURE
    assert answer.detail.startswith("255.255.255.255:53 could not be reached: ")


def test_an_invalid_name_is_a_failure() -> None:
    answer = ask_all([Endpoint("127.0.0.1", 9)], name="a" * 64 + ".example.com")
    assert answer.status is LookupStatus.SERVER_FAILURE
    assert "octets" in answer.detail


# --------------------------------------------------------------------------- whom to ask


def test_nameservers_may_be_given_by_name(nameserver: StartNameserver) -> None:
    server = nameserver(always(f"{NAME}. 60 A 203.0.113.7"))
    stub = configured_stub([Endpoint("localhost", server.port)], 3.0)
    assert f"127.0.0.1:{server.port}" in stub.nameservers
    assert stub.query_addresses(NAME, Family.IPV4, Deadline.after(3.0)).addresses == (
        "203.0.113.7",
    )


def test_a_nameserver_with_an_unknown_name_is_skipped() -> None:
    unknown = Endpoint("a" * 64 + ".invalid", 53)
    stub = configured_stub([unknown, Endpoint("192.0.2.53", 5353)], 3.0)
    assert stub.nameservers == "192.0.2.53:5353"


def test_an_error_if_no_nameserver_has_an_address() -> None:
    unknown = Endpoint("a" * 64 + ".invalid", 53)
    with pytest.raises(ResolutionError, match=r"nameserver aaa.* has no address"):
        configured_stub([unknown], 3.0)


def test_the_system_nameservers_are_used(tmp_path: Path) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("# by hand\nnameserver 192.0.2.1\nnameserver 2001:db8::53\n")
    assert system_stub(resolv_conf, 3.0).nameservers == "192.0.2.1:53, [2001:db8::53]:53"


@pytest.mark.parametrize("written", [None, "", "search example.com\n", "search a..b\n"])
def test_without_nameservers_the_local_one_is_used(tmp_path: Path, written: str | None) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    if written is not None:
        resolv_conf.write_text(written)
    assert system_stub(resolv_conf, 3.0).nameservers == "127.0.0.1:53"


@pytest.mark.parametrize(
    "odd",
    [
        b"nameserver 127.0.0.1#53",
        b"nameserver https://dns.example/dns-query",
        b"nameserver",
        b"# f\xfcr alle",
        b"search a..b",
        bytes(range(256)),
    ],
)
def test_an_unusable_line_is_skipped(tmp_path: Path, odd: bytes) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_bytes(odd + b"\nnameserver 192.0.2.1\r\noptions rotate timeout:x\n")
    stub = system_stub(resolv_conf, 3.0)
    assert stub.nameservers == "192.0.2.1:53"
    assert stub.resolver.rotate


@pytest.mark.parametrize(
    "written", [b"nameserver not-an-address\n", b"nameserver \xff\xfe\nsearch a.example\n"]
)
def test_an_unusable_resolv_conf_is_an_error(tmp_path: Path, written: bytes) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_bytes(written)
    with pytest.raises(ResolutionError) as caught:
        system_stub(resolv_conf, 3.0)
    assert f"{resolv_conf} lists no nameserver by address (" in caught.value.message
    assert caught.value.fix == "correct it, or set resolver.nameservers"


@pytest.mark.parametrize(("count", "seconds", "attempt"), [(1, 5, 2), (1, 1, 0.5), (4, 4, 1)])
def test_every_server_gets_time_for_an_attempt(count: int, seconds: float, attempt: float) -> None:
    stub = configured_stub([Endpoint("192.0.2.1", 53 + each) for each in range(count)], seconds)
    assert stub.resolver.timeout == attempt
