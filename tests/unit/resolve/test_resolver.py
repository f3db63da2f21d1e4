from __future__ import annotations

import logging
import socket
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from gatecert.model import Endpoint
from gatecert.resolve.caa import CaaPolicy, Property
from gatecert.resolve.lookup import LookupResult, LookupStatus
from gatecert.resolve.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Handler = Callable[[dns.message.Message, str], Sequence[bytes]]
    StartNameserver = Callable[[Handler], Endpoint]

pytestmark = pytest.mark.enable_socket

TIMEOUT = timedelta(seconds=3)
ZONE: dict[tuple[str, str], list[str] | dns.rcode.Rcode | None] = {
    ("both.example.", "A"): ["203.0.113.8", "203.0.113.7"],
    ("both.example.", "AAAA"): ["2001:db8:0:0::1"],
    ("old.example.", "A"): ["203.0.113.7"],
    ("old.example.", "AAAA"): [],
    ("empty.example.", "A"): [],
    ("empty.example.", "AAAA"): [],
    ("half.example.", "A"): ["203.0.113.7"],
    ("half.example.", "AAAA"): dns.rcode.SERVFAIL,
    ("slow.example.", "A"): ["203.0.113.7"],
    ("slow.example.", "AAAA"): None,
}


def zone(query: dns.message.Message, _transport: str) -> list[bytes]:
    question = query.question[0]
    kind = dns.rdatatype.to_text(question.rdtype)
    records = ZONE.get((question.name.to_text(), kind), dns.rcode.NXDOMAIN)
    response = dns.message.make_response(query)
    if records is None:
        return []
    if isinstance(records, dns.rcode.Rcode):
        response.set_rcode(records)
    elif records:
        response.answer = [dns.rrset.from_text(question.name, 60, "IN", kind, *records)]
    return [response.to_wire()]


def test_each_name_has_its_own_result(nameserver: StartNameserver) -> None:
    server = nameserver(zone)
    asked = str(server)
    names = ["both.example", "old.example", "empty.example", "half.example", "none.example"]
    minute = timedelta(seconds=60)
    assert Resolver([server], TIMEOUT).look_up(names) == (
        LookupResult(
            "both.example",
            LookupStatus.ADDRESSES,
            ("203.0.113.7", "203.0.113.8", "2001:db8::1"),
            minute,
            nameservers=asked,
        ),
        LookupResult(
            "old.example", LookupStatus.ADDRESSES, ("203.0.113.7",), minute, nameservers=asked
        ),
        LookupResult("empty.example", LookupStatus.NO_ADDRESS, nameservers=asked),
        LookupResult(
            "half.example",
            LookupStatus.ADDRESSES,
            ("203.0.113.7",),
            minute,
            unknown=f"{server} answered SERVFAIL (AAAA)",
            nameservers=asked,
        ),
        LookupResult("none.example", LookupStatus.NO_SUCH_NAME, nameservers=asked),
    )


def test_look_ups_one_after_the_other_share_threads(nameserver: StartNameserver) -> None:
    resolver, before = Resolver([nameserver(zone)], TIMEOUT), set(threading.enumerate())

    for _ in range(5):
        resolver.look_up(["both.example"])
        resolver.look_up_caa(["example"])

    assert len(set(threading.enumerate()) - before) <= 2  # one for each address family


def test_no_names_give_no_results() -> None:
    assert Resolver([], TIMEOUT).look_up([]) == ()


def test_the_timeout_is_the_total_for_all_names(nameserver: StartNameserver) -> None:
    server = nameserver(zone)
    names = ["slow.example", "both.example"]
    started = time.monotonic()
    slow, both = Resolver([server], timedelta(seconds=0.2)).look_up(names)
    assert time.monotonic() - started < 1.0  # a machine may be busy
    assert both.status is LookupStatus.ADDRESSES
    assert slow.status is LookupStatus.ADDRESSES
    assert slow.addresses == ("203.0.113.7",)
    assert str(server) in slow.unknown
    assert slow.unknown.endswith("(AAAA)")


@pytest.mark.parametrize("code", ["SERVFAIL", "REFUSED", "NOTIMP", "FORMERR"])
def test_a_refused_family_does_not_affect_the_other(
    code: str, nameserver: StartNameserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ZONE, ("half.example.", "AAAA"), dns.rcode.from_text(code))
    (half,) = Resolver([nameserver(zone)], TIMEOUT).look_up(["half.example"])
    assert half.status is LookupStatus.ADDRESSES
    assert code in half.unknown


def test_an_internal_address_is_traced_to_the_hosts_file(
    nameserver: StartNameserver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(ZONE, ("old.example.", "A"), ["127.0.1.1"])
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n127.0.1.1 old.example old\n203.0.113.7 both.example\n")
    old, both = Resolver([nameserver(zone)], TIMEOUT, hosts=hosts).look_up(
        ["old.example", "both.example"]
    )
    assert old.hosts_lines == (f"{hosts} line 2 (127.0.1.1 old.example)",)
    assert both.hosts_lines == ()


def test_more_names_than_threads_are_looked_up(nameserver: StartNameserver) -> None:
    found = Resolver([nameserver(zone)], TIMEOUT).look_up(["old.example"] * 20)
    assert [each.status for each in found] == [LookupStatus.ADDRESSES] * 20


def test_nothing_is_cached(nameserver: StartNameserver, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver([nameserver(zone)], TIMEOUT)
    assert resolver.look_up(["old.example"])[0].addresses == ("203.0.113.7",)
    monkeypatch.setitem(ZONE, ("old.example.", "A"), ["203.0.113.9"])
    assert resolver.look_up(["old.example"])[0].addresses == ("203.0.113.9",)


def test_resolv_conf_is_read_again_when_it_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "gatecert.resolve.resolver")
    resolv_conf = tmp_path / "resolv.conf"
    resolver = Resolver([], timedelta(seconds=0.02), resolv_conf=resolv_conf)

    def told() -> list[str]:
        caplog.clear()
        resolver.look_up(["boston.example.com"])
        return [record.getMessage() for record in caplog.records]

    resolv_conf.write_text("nameserver 127.0.0.2\n")
    assert told()[0] == f"nameservers=127.0.0.2:53 file={resolv_conf}"
    (second,) = told()
    assert second.endswith("nameservers=127.0.0.2:53")
    written_elsewhere = tmp_path / "new"
    written_elsewhere.write_text("nameserver 127.0.0.3\n")
    written_elsewhere.replace(resolv_conf)
    assert told()[-1].endswith("nameservers=127.0.0.3:53")
    resolv_conf.unlink()
    assert told()[-1].endswith("nameservers=127.0.0.1:53")


def test_an_unusable_resolv_conf_fails_every_name(tmp_path: Path) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("nameserver gateway\n")
    found = Resolver([], TIMEOUT, resolv_conf=resolv_conf).look_up(["a.example", "b.example"])
    assert [each.status for each in found] == [LookupStatus.SERVER_FAILURE] * 2
    assert all(str(resolv_conf) in each.detail for each in found)


def test_a_hanging_lookup_of_a_nameserver_does_not_exceed_the_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stuck(*_args: object, **_options: object) -> list[object]:
        time.sleep(0.2)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    resolver = Resolver([Endpoint("ns.example.com", 53)], timedelta(seconds=0.02))
    (found,) = resolver.look_up(["boston.example.com"])
    assert found.status is LookupStatus.TIMEOUT
    assert found.detail == "the addresses of the nameservers were not found in time"


CAA_ZONE: dict[str, list[str] | dns.rcode.Rcode | None] = {
    "boston.example.": [],
    "example.": ['0 issue "ca.example.net; validationmethods=dns-01"', '128 tbs "unknown"'],
    "own.example.": ['0 issue ";"'],
    "broken.example.": dns.rcode.SERVFAIL,
    "slow.example.": None,
}
ALIASES = {
    "alias.example.": "own.example.",
    "round.example.": "there.example.",
    "there.example.": "round.example.",
}


def caa_zone(query: dns.message.Message, _transport: str) -> list[bytes]:
    """Answer a query; aliases are returned alone, as by a simple server."""
    question = query.question[0]
    name = question.name.to_text()
    response = dns.message.make_response(query)
    records = CAA_ZONE.get(name, dns.rcode.NXDOMAIN)
    if name in ALIASES:
        response.answer = [dns.rrset.from_text(name, 60, "IN", "CNAME", ALIASES[name])]
    elif records is None:
        return []
    elif isinstance(records, dns.rcode.Rcode):
        response.set_rcode(records)
    elif records:
        response.answer = [dns.rrset.from_text(name, 60, "IN", "CAA", *records)]
    return [response.to_wire()]


def test_caa_records_are_looked_up_to_the_top_level_domain(nameserver: StartNameserver) -> None:
    server = nameserver(caa_zone)
    above = (
        Property(critical=False, tag="issue", value="ca.example.net; validationmethods=dns-01"),
        Property(critical=True, tag="tbs", value="unknown"),
    )
    own = (Property(critical=False, tag="issue", value=";"),)
    names = ["boston.example", "nxdomain.example", "own.example", "alias.example", "none.test"]
    assert Resolver([server], TIMEOUT).look_up_caa(names) == (
        CaaPolicy("boston.example", "example", above),
        CaaPolicy("nxdomain.example", "example", above),
        CaaPolicy("own.example", "own.example", own),
        CaaPolicy("alias.example", "alias.example", own),
        CaaPolicy("none.test"),
    )


def test_failed_caa_lookups_are_reported(nameserver: StartNameserver) -> None:
    server = nameserver(caa_zone)
    broken, circle = Resolver([server], TIMEOUT).look_up_caa(["broken.example", "round.example"])
    assert (broken.domain, broken.properties) == ("broken.example", ())
    assert "SERVFAIL" in broken.failure
    assert "CNAME loop" in circle.failure
    (slow,) = Resolver([server], timedelta(seconds=0.2)).look_up_caa(["slow.example"])
    assert str(server) in slow.failure


def test_caa_lookup_without_names_or_nameservers(tmp_path: Path) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("nameserver gateway\n")
    resolver = Resolver([], TIMEOUT, resolv_conf=resolv_conf)
    assert resolver.look_up_caa([]) == ()
    (found,) = resolver.look_up_caa(["a.example"])
    assert str(resolv_conf) in found.failure
