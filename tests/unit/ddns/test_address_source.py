from __future__ import annotations

import pytest
from tests.fakes.dynamic_dns import PublicDns, Service

from gatecert.ddns.address_source import (
    ConfiguredSource,
    DnsSource,
    HttpsSource,
    InterfaceSource,
    LastingSource,
    first_address,
)
from gatecert.errors import ResolutionError
from gatecert.http.fetcher import FailureKind, FetchError
from gatecert.model import Endpoint, RecordKind
from gatecert.resolve.lookup import LookupStatus

A, AAAA = RecordKind.A, RecordKind.AAAA
PUBLIC, PUBLIC6 = "100.200.30.40", "2a00:1450::7"
TEMPORARY = "2a00:1450::abcd"


def interfaces(*addresses: str, name: str = "") -> InterfaceSource:
    return InterfaceSource(lambda asked: addresses if asked == name else (), name)


def test_configured_addresses_are_sorted_and_complete() -> None:
    found = ConfiguredSource(("2001:db8::7", "192.0.2.7")).find()
    assert found.addresses == ("192.0.2.7", "2001:db8::7")
    assert not found.unknown


def test_the_public_addresses_of_all_interfaces() -> None:
    found = interfaces("127.0.0.1", "10.0.0.1", PUBLIC, PUBLIC6, "fe80::1").find()
    assert found.addresses == (PUBLIC, PUBLIC6)
    assert not found.unknown


def test_behind_a_router_only_ipv6_is_known() -> None:
    found = interfaces("127.0.0.1", "192.168.1.20", PUBLIC6).find()
    assert found.addresses == (PUBLIC6,)
    assert found.unknown == {A}
    assert "private IPv4" in found.reason
    assert "opendns" in found.fix


def test_one_interface_has_all_its_addresses() -> None:
    found = interfaces(PUBLIC, "192.168.1.20", "fe80::1", name="ppp0").find()
    assert found.addresses == (PUBLIC, "192.168.1.20")


class Answers:
    """The answers of a nameserver, by record type."""

    def __init__(self, **answers: str | Exception | None) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, server: Endpoint, kind: RecordKind) -> str | None:
        self.asked.append(str(server))
        answer = self.answers[kind]
        if isinstance(answer, Exception):
            raise answer
        return answer


def dns(answers: Answers, resolver: PublicDns, host: str = "resolver.example") -> DnsSource:
    return DnsSource(resolver, answers, Endpoint(host, 53), (A, AAAA))


def test_each_family_is_asked_over_itself() -> None:
    answers = Answers(A=PUBLIC, AAAA=PUBLIC6)
    found = dns(answers, PublicDns(("9.9.9.9", "2620:fe::9"))).find()
    assert found.addresses == (PUBLIC, PUBLIC6)
    assert answers.asked == ["9.9.9.9:53", "[2620:fe::9]:53"]
    assert not found.unknown


def test_no_route_means_no_address_and_an_error_means_unknown() -> None:
    servers = PublicDns(("9.9.9.9", "2620:fe::9"))
    found = dns(Answers(A=PUBLIC, AAAA=None), servers).find()
    assert (found.addresses, found.unknown) == ((PUBLIC,), frozenset())
    found = dns(Answers(A=PUBLIC, AAAA=ResolutionError("no answer")), servers).find()
    assert (found.addresses, found.unknown) == ((PUBLIC,), frozenset({AAAA}))
    assert found.reason == "no answer"


def test_a_nameserver_of_one_family_says_nothing_of_the_other() -> None:
    found = dns(Answers(A=PUBLIC), PublicDns(status=LookupStatus.NO_SUCH_NAME), "9.9.9.9").find()
    assert (found.addresses, found.unknown) == ((PUBLIC,), frozenset({AAAA}))


def test_an_unknown_nameserver_is_named() -> None:
    found = dns(Answers(), PublicDns(status=LookupStatus.NO_SUCH_NAME)).find()
    assert found.addresses == ()
    assert "resolver.example was not found" in found.reason


@pytest.mark.parametrize(
    ("seen", "own", "lasting", "found"),
    [
        ((PUBLIC, TEMPORARY), (TEMPORARY, PUBLIC6), (PUBLIC6, "fe80::1"), (PUBLIC, PUBLIC6)),
        ((PUBLIC, PUBLIC6), (TEMPORARY, PUBLIC6), (PUBLIC6,), (PUBLIC, PUBLIC6)),
        ((PUBLIC, TEMPORARY), (TEMPORARY,), (), (PUBLIC, TEMPORARY)),
        ((PUBLIC, "2a00::99"), (TEMPORARY, PUBLIC6), (PUBLIC6,), (PUBLIC, "2a00::99")),
        ((PUBLIC,), (TEMPORARY, PUBLIC6), (PUBLIC6,), (PUBLIC,)),
    ],
    ids=["temporary", "lasting", "no other", "of a proxy", "no IPv6"],
)
def test_a_temporary_address_gives_way_to_a_lasting_one(
    seen: tuple[str, ...], own: tuple[str, ...], lasting: tuple[str, ...], found: tuple[str, ...]
) -> None:
    source = LastingSource(ConfiguredSource(seen), lambda: own, lambda: lasting)
    assert source.find().addresses == found


def test_web_services_tell_one_family_each() -> None:
    service = Service(f"{PUBLIC}\n", f'{{"ip": "{PUBLIC6}"}}')
    found = HttpsSource(service, ("https://4.example/", "https://6.example/")).find()
    assert found.addresses == (PUBLIC, PUBLIC6)
    assert not found.unknown


def test_a_web_service_that_fails_is_named() -> None:
    service = Service(FetchError(FailureKind.TIMEOUT, "", "no answer in time"), "no idea")
    found = HttpsSource(service, ("https://4.example/", "https://6.example/")).find()
    assert found.addresses == ()
    assert found.unknown == {A, AAAA}
    assert "4.example cannot be reached" in found.reason
    assert "6.example (status 200) has no address" in found.reason


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (PUBLIC, PUBLIC),
        (f"<html><body>Current IP Address: {PUBLIC}</body></html>", PUBLIC),
        (f"ip={PUBLIC6}\n", PUBLIC6),
        ("version 1.2, nothing else", None),
        ("", None),
        ("::", "::"),
        ("999.1.1.1", None),
    ],
)
def test_the_first_address_of_a_text(text: str, address: str | None) -> None:
    assert first_address(text) == address
