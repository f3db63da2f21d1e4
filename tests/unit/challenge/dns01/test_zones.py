"""Names and zones of records: aliases, zones and nameservers, over real sockets."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gatecert.challenge.dns01.nameservers import Nameserver
from gatecert.challenge.dns01.zones import RecordLocation, Zones
from gatecert.errors import ChallengeError, RecordRefusedError
from gatecert.model import Endpoint

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.nameserver import Handler, StartNameserver
    from tests.fakes.zones import Zones as Answers

NAME = "_acme-challenge.vpn.example.com"
HOST = {("vpn.example.com", "A"): ["127.0.0.1"]}
SHORT = timedelta(seconds=0.2)
LONG = timedelta(seconds=2)

pytestmark = pytest.mark.enable_socket


def zones(resolver: Endpoint, *authoritative: Endpoint, zone: str | None = None) -> Zones:
    return Zones([resolver], LONG, zone=zone, authoritative=authoritative)


def resolvers_only(resolver: Endpoint) -> Zones:
    return Zones([resolver], LONG, recursive=True)


def test_a_record_is_in_the_zone_of_its_name(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    answers = make_zones(["example.com"], HOST)
    server = nameserver(answers)

    assert zones(server, server).locate(NAME) == RecordLocation(NAME, "example.com")


def test_a_resolver_is_never_queried_for_the_record_itself(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    resolver, authority = make_zones(["example.com"], HOST), make_zones(["example.com"], HOST)

    zones(nameserver(resolver), nameserver(authority)).locate(f"_label.{NAME}")

    assert {name for name, _ in resolver.asked} == {"vpn.example.com"}
    assert authority.asked == [(f"_label.{NAME}", "CNAME")]


def test_aliases_into_another_zone_are_followed(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    records = {
        **HOST,
        (NAME, "CNAME"): ["first.example.com."],
        ("first.example.com", "CNAME"): ["Vpn.Challenges.Example.NET."],
    }
    server = nameserver(make_zones(["example.com", "challenges.example.net"], records))

    place = zones(server, server).locate(NAME)

    assert place == RecordLocation("vpn.challenges.example.net", "challenges.example.net")


@pytest.mark.parametrize("target", ["edge.example.net.", "."])
def test_a_wildcard_is_not_a_delegation(
    nameserver: StartNameserver, make_zones: type[Answers], target: str
) -> None:
    records = {**HOST, ("*.vpn.example.com", "CNAME"): [target]}
    server = nameserver(make_zones(["example.com", "example.net"], records))

    assert zones(server, server).locate(NAME) == RecordLocation(NAME, "example.com")


def test_a_wildcard_is_recognized_at_the_zone_apex(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    records = {("*.example.com", "CNAME"): ["edge.example.net."]}
    server = nameserver(make_zones(["example.com", "example.net"], records))
    name = "_acme-challenge.example.com"

    assert zones(server, server).locate(name) == RecordLocation(name, "example.com")


def test_a_host_that_exists_only_by_a_wildcard_is_a_warning(
    nameserver: StartNameserver, make_zones: type[Answers], caplog: pytest.LogCaptureFixture
) -> None:
    by_wildcard = {("*.example.com", "CNAME"): ["edge.example.net."]}
    beside_it = {**HOST, ("*.vpn.example.com", "CNAME"): ["edge.example.net."]}

    for records in (beside_it, by_wildcard):
        assert caplog.text == ""
        server = nameserver(make_zones(["example.com", "example.net"], records))
        for name in (NAME, f"_label.{NAME}"):
            assert zones(server, server).locate(name) == RecordLocation(name, "example.com")

    assert caplog.text.count(" vpn.example.com exists only by a wildcard") == 2


def test_an_alias_beside_a_wildcard_is_followed(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    records = {
        **HOST,
        ("*.vpn.example.com", "CNAME"): ["edge.example.net."],
        (NAME, "CNAME"): ["vpn.example.net."],
    }
    server = nameserver(make_zones(["example.com", "example.net"], records))

    assert zones(server, server).locate(NAME) == RecordLocation("vpn.example.net", "example.net")


def test_a_wildcard_is_recognized_by_a_resolver(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    records = {**HOST, ("*.vpn.example.com", "CNAME"): ["edge.example.net."]}
    resolver = make_zones(["example.com", "example.net"], records)

    assert resolvers_only(nameserver(resolver)).locate(NAME) == RecordLocation(NAME, "example.com")


def test_a_wildcard_into_the_configured_zone_is_followed(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    records = {**HOST, ("*.vpn.example.com", "CNAME"): ["all.example.net."]}
    server = nameserver(make_zones(["example.com", "example.net"], records))

    place = zones(server, server, zone="example.net").locate(NAME)

    assert place == RecordLocation("all.example.net", "example.net")


def test_no_wildcard_is_checked_if_the_sibling_name_is_too_long(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    longest = f"_.{'.'.join(['a' * 61] * 3)}.{'b' * 48}.example.com"
    records = {**HOST, (longest, "CNAME"): ["vpn.example.net."]}
    server = nameserver(make_zones(["example.com", "example.net"], records))

    assert zones(server, server).locate(longest).name == "vpn.example.net"


def test_follow_aliases_false_follows_no_alias(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    records = {**HOST, (NAME, "CNAME"): ["vpn.example.net."]}
    answers = make_zones(["example.com", "example.net"], records)
    server = nameserver(answers)

    directly = Zones([server], LONG, authoritative=[server], follow_aliases=False)
    assert directly.locate(NAME) == RecordLocation(NAME, "example.com")
    answers.asked.clear()
    by_resolver = Zones([server], LONG, recursive=True, follow_aliases=False)
    assert by_resolver.locate(NAME) == RecordLocation(NAME, "example.com")
    assert (NAME, "CNAME") not in answers.asked


def test_resolvers_are_the_nameservers_of_every_zone_if_recursive(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    resolver = nameserver(make_zones(["example.com"], HOST))

    (server,) = resolvers_only(resolver).nameservers("example.com")

    assert server == Nameserver(resolver.host, resolver, recursive=True)
    assert str(server) == str(resolver)


def test_a_lame_nameserver_is_skipped(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    resolver = nameserver(make_zones(["example.com", "example.net"], HOST))
    lame = nameserver(make_zones(["example.com"], authoritative=False))
    good = nameserver(make_zones(["example.com"], {(NAME, "CNAME"): ["vpn.example.net."]}))

    assert zones(resolver, lame, good).locate(NAME).name == "vpn.example.net"
    assert zones(resolver, lame).locate(NAME) == RecordLocation(NAME, "example.com")


def test_an_alias_of_the_root_is_an_error(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    server = nameserver(make_zones(["example.com"], {(NAME, "CNAME"): ["."]}))

    with pytest.raises(ChallengeError, match=f"{NAME} is an alias of the DNS root"):
        zones(server, server).locate(NAME)


def test_a_cname_loop_is_an_error(nameserver: StartNameserver, make_zones: type[Answers]) -> None:
    records = {(NAME, "CNAME"): ["a.example.com."], ("a.example.com", "CNAME"): [f"{NAME}."]}
    server = nameserver(make_zones(["example.com"], records))

    with pytest.raises(ChallengeError, match="are a CNAME loop at") as caught:
        zones(server, server).locate(NAME)

    assert NAME in caught.value.fix


def test_a_name_that_is_too_long_is_refused() -> None:
    longest = ".".join(["a" * 63] * 3 + ["b" * 61])

    with pytest.raises(RecordRefusedError, match=r"^_acme.* is not a valid DNS name") as caught:
        zones(Endpoint("127.0.0.1", 9)).locate(f"_acme-challenge.{longest}")

    assert "http-01" in caught.value.fix


def test_a_delegated_zone_is_found_by_referral_and_soa(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    resolver = nameserver(make_zones(["example.com"], HOST))
    parent = make_zones(["example.com"], HOST, {NAME: "ns.example.org."})
    same_server = make_zones(["example.com", NAME], HOST)

    assert zones(resolver, nameserver(parent)).locate(NAME).zone == NAME
    assert zones(resolver, nameserver(same_server)).locate(NAME).zone == NAME


def test_a_configured_zone_is_not_looked_up(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    resolver, authority = make_zones([]), make_zones(["example.com", NAME], HOST)

    place = zones(nameserver(resolver), nameserver(authority), zone="example.com").locate(NAME)

    assert place == RecordLocation(NAME, "example.com")
    assert resolver.asked == []


def test_the_resolver_is_queried_if_no_nameserver_is_reachable(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    records = {**HOST, (NAME, "CNAME"): ["vpn.example.net."]}
    resolver = nameserver(make_zones(["example.com", "example.net"], records))
    refuses = nameserver(make_zones(["example.org"]))

    assert zones(resolver, refuses).locate(NAME) == RecordLocation("vpn.example.net", "example.net")


def test_a_silent_or_broken_nameserver_is_skipped(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    resolver = nameserver(make_zones(["example.com"], HOST))
    silent = nameserver(lambda _wire, _transport: None)
    rubbish = nameserver(lambda _wire, _transport: b"rubbish")
    good = make_zones(["example.com"], HOST)

    servers = (silent, rubbish, nameserver(good))
    finder = Zones([resolver], LONG, authoritative=servers, attempt_seconds=0.05)
    place = finder.locate(NAME)

    assert place == RecordLocation(NAME, "example.com")
    assert good.asked


def test_a_nameserver_that_closes_the_connection_is_skipped(
    nameserver: StartNameserver, make_zones: type[Answers], truncated_only: Handler
) -> None:
    resolver = nameserver(make_zones(["example.com"], HOST))
    good = make_zones(["example.com"], HOST)

    place = zones(resolver, nameserver(truncated_only), nameserver(good)).locate(NAME)

    assert place == RecordLocation(NAME, "example.com")
    assert good.asked


def test_without_ns_records_the_resolver_is_queried_for_an_alias(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    resolver = nameserver(make_zones(["example.com"], HOST))

    assert zones(resolver).locate(NAME) == RecordLocation(NAME, "example.com")


def test_every_address_of_the_zones_nameservers_is_returned(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    records = {
        ("example.com", "NS"): ["ns2.example.com.", "ns1.example.com."],
        ("ns1.example.com", "A"): ["192.0.2.1"],
        ("ns1.example.com", "AAAA"): ["2001:db8::1"],
        ("ns2.example.com", "A"): ["192.0.2.2"],
    }
    resolver = nameserver(make_zones(["example.com"], records))

    assert [str(each) for each in zones(resolver).nameservers("example.com")] == [
        "ns1.example.com (192.0.2.1:53)",
        "ns1.example.com ([2001:db8::1]:53)",
        "ns2.example.com (192.0.2.2:53)",
    ]


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ({}, "the nameservers of example.com could not be found"),
        (
            {("example.com", "NS"): ["ns9.example.com."]},
            "the address of the nameserver ns9.example.com could not be found",
        ),
        (
            {("example.com", "NS"): ["ns8.example.com.", "ns9.example.com."]},
            "an address of the nameservers ns8.example.com, ns9.example.com could not be found",
        ),
    ],
)
def test_unknown_nameservers_are_an_error(
    nameserver: StartNameserver,
    make_zones: type[Answers],
    records: dict[tuple[str, str], list[str]],
    said: str,
) -> None:
    resolver = nameserver(make_zones(["example.com"], records))

    with pytest.raises(ChallengeError, match=said) as caught:
        zones(resolver).nameservers("example.com")

    assert "resolver.nameservers" in caught.value.fix
    assert "challenges.dns-01.authoritative" in caught.value.fix


def test_a_nameserver_without_an_address_is_included_beside_others(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    records = {
        ("example.com", "NS"): ["ns1.example.com.", "ns9.example.com."],
        ("ns1.example.com", "A"): ["192.0.2.1"],
    }
    resolver = nameserver(make_zones(["example.com"], records))

    first, second = zones(resolver).nameservers("example.com")

    assert (str(first), first.no_address) == ("ns1.example.com (192.0.2.1:53)", "")
    assert str(second) == "ns9.example.com:53"
    assert second.no_address
    with pytest.raises(ChallengeError, match=r"the address of the nameserver ns9\.example\.com"):
        zones(resolver).addresses([Endpoint("ns9.example.com", 53)])


def test_a_nameserver_without_an_address_is_not_queried_for_aliases(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    server = nameserver(make_zones(["example.com"], HOST))
    nowhere = Endpoint("ns9.example.com", 53)

    assert zones(server, nowhere, server).locate(NAME) == RecordLocation(NAME, "example.com")


def test_configured_nameservers_are_used(tmp_path: Path) -> None:
    given = Endpoint("127.0.0.1", 5353)
    never_asked = Zones([], SHORT, authoritative=[given], resolv_conf=tmp_path / "missing")

    (server,) = never_asked.nameservers("example.com")

    assert server == Nameserver("127.0.0.1", given)
    assert str(server) == "127.0.0.1:5353"


def test_a_failing_resolver_is_an_error_with_its_answer(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    server = nameserver(make_zones([]))

    with pytest.raises(ChallengeError) as caught:
        zones(server).locate(NAME)

    assert f"{server} answered REFUSED" in caught.value.message
    assert "the zone of vpn.example.com could not be found" in caught.value.message


def test_a_failed_lookup_of_records_is_an_error(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    with pytest.raises(ChallengeError, match=r"the NS records of example\.com could not be found"):
        zones(nameserver(make_zones([]))).nameservers("example.com")


def test_a_name_without_any_domain_is_an_error(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    def root(wire: bytes, transport: str) -> bytes:
        import dns.flags  # noqa: PLC0415
        import dns.message  # noqa: PLC0415
        import dns.rcode  # noqa: PLC0415
        import dns.rrset  # noqa: PLC0415

        del transport
        response = dns.message.make_response(dns.message.from_wire(wire))
        response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(
            dns.rrset.from_text(".", 1, "IN", "SOA", "a. b. 1 3600 600 86400 1")
        )
        return response.to_wire()

    del make_zones
    with pytest.raises(ChallengeError, match="no domain above it exists"):
        zones(nameserver(root)).locate(NAME)


def test_unusable_resolver_settings_are_an_error(tmp_path: Path) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_bytes(b"nameserver not-an-address\n")

    with pytest.raises(ChallengeError) as caught:
        Zones([], SHORT, resolv_conf=resolv_conf).locate(NAME)

    assert caught.value.fix


def test_the_system_resolver_is_the_default(
    tmp_path: Path,
) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("nameserver 127.255.255.254\n", "ascii")

    with pytest.raises(ChallengeError, match=r"127\.255\.255\.254:53"):
        Zones([], SHORT, resolv_conf=resolv_conf).locate(NAME)
