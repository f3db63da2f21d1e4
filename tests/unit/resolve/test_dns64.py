from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

import pytest

from gatecert.resolve.dns64 import DISCOVERY_NAME, embedded, prefixes, without_synthesis
from gatecert.resolve.gateway_addresses import GatewayAddresses
from gatecert.resolve.lookup import LookupResult, LookupStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "boston.example.com"
HERE = GatewayAddresses(("203.0.113.7",))


class Discovery:
    """A resolver that knows only the addresses of ipv4only.arpa."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    def look_up(self, names: Sequence[str]) -> tuple[LookupResult, ...]:
        self.asked += names
        return tuple(LookupResult(name, LookupStatus.ADDRESSES, self.addresses) for name in names)


def replaced(resolver: Discovery, *addresses: str) -> tuple[str, ...]:
    lookups = (LookupResult(NAME, LookupStatus.ADDRESSES, addresses),)
    return without_synthesis(lookups, resolver, HERE)[0].addresses


@pytest.mark.parametrize(
    ("address", "length"),
    [  # RFC 6052 section 2.4
        ("2001:db8:c000:221::", 32),
        ("2001:db8:1c0:2:21::", 40),
        ("2001:db8:122:c000:2:2100::", 48),
        ("2001:db8:122:3c0:0:221::", 56),
        ("2001:db8:122:344:c0:2:2100::", 64),
        ("2001:db8:122:344::192.0.2.33", 96),
    ],
)
def test_the_embedded_address_is_extracted(address: str, length: int) -> None:
    assert embedded(IPv6Address(address), length) == IPv4Address("192.0.2.33")


def test_no_address_is_embedded_if_reserved_bits_are_set() -> None:
    assert embedded(IPv6Address("2001:db8:1:2:ff00::1"), 64) is None


@pytest.mark.parametrize(
    ("answer", "prefix"),
    [
        ("64:ff9b::c000:aa", "64:ff9b::/96"),
        ("64:ff9b:1:ab::c000:ab", "64:ff9b:1:ab::/96"),
        ("64:ff9b:1:c000:0:aa00::", "64:ff9b:1::/48"),
        ("2001:db8:122:344:c0:0:aa00:0", "2001:db8:122:344::/64"),
        ("2001:db8:c000:aa::", "2001:db8::/32"),
    ],
)
def test_the_prefix_is_discovered(answer: str, prefix: str) -> None:
    lookup = LookupResult(DISCOVERY_NAME, LookupStatus.ADDRESSES, ("192.0.0.170", answer))
    assert prefixes(lookup) == (IPv6Network(prefix),)


def test_a_resolver_without_dns64_has_no_prefix() -> None:
    assert prefixes(LookupResult(DISCOVERY_NAME, LookupStatus.ADDRESSES, ("192.0.0.170",))) == ()
    assert prefixes(LookupResult(DISCOVERY_NAME, LookupStatus.TIMEOUT)) == ()


def test_the_well_known_prefix_needs_no_discovery() -> None:
    resolver = Discovery()
    assert replaced(resolver, "203.0.113.7", "64:ff9b::203.0.113.7") == ("203.0.113.7",)
    assert resolver.asked == []


def test_a_network_specific_prefix_is_discovered_when_needed() -> None:
    resolver = Discovery("192.0.0.170", "64:ff9b:1:c000:0:aa00::")
    assert replaced(resolver, "203.0.113.7", "64:ff9b:1:cb00:71:700::") == ("203.0.113.7",)
    assert resolver.asked == [DISCOVERY_NAME]


def test_the_ipv4_address_of_a_synthesized_aaaa_may_be_wrong() -> None:
    assert replaced(Discovery(), "64:ff9b::198.51.100.9") == ("198.51.100.9",)


@pytest.mark.parametrize("discovered", [(), ("2001:db8:64::c000:aa",), ("::1",)])
def test_another_ipv6_address_stays_wrong(discovered: tuple[str, ...]) -> None:
    found = replaced(Discovery(*discovered), "203.0.113.7", "2001:db8::203.0.113.7")
    assert found == ("203.0.113.7", "2001:db8::cb00:7107")


def test_no_prefix_is_looked_up_for_names_that_point_here() -> None:
    resolver = Discovery()
    assert replaced(resolver, "203.0.113.7") == ("203.0.113.7",)
    assert resolver.asked == []
