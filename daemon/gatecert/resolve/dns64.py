"""AAAA records that a resolver synthesizes from A records: DNS64 (RFC 6147).

Behind NAT64 a resolver embeds each IPv4 address in a prefix (RFC 6052): the well-known 64:ff9b::/96
or one of the network's own, 64:ff9b:1::/48 and its subnets among them (RFC 8215). The resolver's
AAAA answer for ipv4only.arpa, whose A records are well known, reveals the prefix (RFC 7050). No
authority outside that network sees such an AAAA, so it is compared as the A it was made from.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

from gatecert.resolve.lookup import sort_addresses

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gatecert.resolve.gateway_addresses import GatewayAddresses
    from gatecert.resolve.lookup import AddressResolver, LookupResult

WELL_KNOWN = IPv6Network("64:ff9b::/96")
DISCOVERY_NAME = "ipv4only.arpa"  # RFC 7050 section 8.2
DISCOVERY_ADDRESSES = {IPv4Address("192.0.0.170"), IPv4Address("192.0.0.171")}
LENGTHS = (96, 64, 56, 48, 40, 32)  # RFC 6052 section 2.2

# Bits 64 to 71 are zero and not part of the embedded address.
_RESERVED_OCTET = 8


def without_synthesis(
    lookups: Sequence[LookupResult], resolver: AddressResolver, addresses: GatewayAddresses
) -> tuple[LookupResult, ...]:
    """Replace every synthesized AAAA by the A it was made from.

    The prefixes are looked up only if an AAAA would otherwise be wrong.
    """
    replaced = tuple(_replace(lookup, [WELL_KNOWN]) for lookup in lookups)
    if not any(_has_wrong_ipv6(lookup, addresses) for lookup in replaced):
        return replaced
    found = [prefix for lookup in resolver.look_up([DISCOVERY_NAME]) for prefix in prefixes(lookup)]
    return tuple(_replace(lookup, found) for lookup in replaced)


def prefixes(discovery: LookupResult) -> tuple[IPv6Network, ...]:
    """Derive a resolver's prefixes from its answer for ipv4only.arpa (RFC 7050 section 3)."""
    candidates = (
        IPv6Network((address, length), strict=False)
        for address in discovery.addresses
        if ":" in address
        for length in LENGTHS
        if embedded(IPv6Address(address), length) in DISCOVERY_ADDRESSES
    )
    return tuple(dict.fromkeys(candidates))


def embedded(address: IPv6Address, length: int) -> IPv4Address | None:
    """Return the IPv4 address behind a prefix of this length; None if there cannot be one."""
    octets = list(address.packed)
    if octets[_RESERVED_OCTET] != 0:
        return None
    if length <= _RESERVED_OCTET * 8:
        del octets[_RESERVED_OCTET]
    start = length // 8
    return IPv4Address(bytes(octets[start : start + 4]))


def _replace(lookup: LookupResult, networks: Iterable[IPv6Network]) -> LookupResult:
    used = list(networks)
    return replace(
        lookup, addresses=sort_addresses(_origin(each, used) for each in lookup.addresses)
    )


def _origin(address: str, networks: Sequence[IPv6Network]) -> str:
    if ":" not in address:
        return address
    parsed = IPv6Address(address)
    for network in networks:
        if parsed in network:
            return str(embedded(parsed, network.prefixlen) or address)
    return address


def _has_wrong_ipv6(lookup: LookupResult, addresses: GatewayAddresses) -> bool:
    return any(":" in each and not addresses.accepts(each) for each in lookup.addresses)
