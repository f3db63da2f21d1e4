"""The addresses that the names of a gateway have to resolve to.

Configured addresses apply exclusively, whatever kind of address they are. The default is the public
addresses of this host's interfaces: globally reachable unicast according to the IANA registries
(RFC 6890), so neither private, shared (RFC 6598), link-local, unique-local nor documentation
addresses. Temporary IPv6 addresses (RFC 8981) count while they exist.

A host whose IPv4 addresses are all private is behind NAT and cannot know its public one, so any
public IPv4 address is accepted. A public IPv6 address on an interface is not translated, so IPv6 is
still compared. Only without any public address is any public IPv6 address accepted as well.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatecert.errors import ResolutionError
from gatecert.resolve.lookup import sort_addresses

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


# RFC 1122, RFC 1918, RFC 3927, RFC 6598; RFC 4193, RFC 4291.
_INTERNAL = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/32",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "::/127",
            "fc00::/7",
            "fe80::/10",
        ),
    )
)


@dataclass(frozen=True, slots=True)
class GatewayAddresses:
    """The gateway's own addresses, as far as they are known.

    Attributes:
        expected: Canonical text, IPv4 first.
        behind_nat: Whether this host does not know its public IPv4 address.
    """

    expected: tuple[str, ...]
    behind_nat: bool = False

    def accepts(self, address: str) -> bool:
        """Check if a name may resolve to ``address``."""
        return self.owns(address) or self.accepts_unverified(address)

    def owns(self, address: str) -> bool:
        """Check if ``address`` is known to be the gateway's."""
        return ipaddress.ip_address(address) in map(ipaddress.ip_address, self.expected)

    def accepts_unverified(self, address: str) -> bool:
        """Check if ``address`` is accepted without being known, because of NAT."""
        if not self.behind_nat or not is_public(address):
            return False
        return ":" not in address or not self.expected


def own_addresses(configured: Sequence[str]) -> GatewayAddresses:
    """Return the gateway's own addresses: as configured, else as found on this host.

    Raises:
        ResolutionError: This host's interfaces cannot be read.
    """
    return select_addresses(configured, () if configured else interface_addresses())


def select_addresses(configured: Sequence[str], found: Iterable[str]) -> GatewayAddresses:
    """Choose between the configured addresses and those of the interfaces.

    Args:
        configured: The configured addresses; they apply exclusively unless empty.
        found: Every address of every interface, including loopback.
    """
    if configured:
        return GatewayAddresses(sort_addresses(configured))
    usable = [
        address
        for address in map(ipaddress.ip_address, found)
        if not (address.is_loopback or address.is_link_local)
    ]
    public = [address for address in usable if is_public(str(address))]
    has_ipv4 = any(isinstance(address, ipaddress.IPv4Address) for address in usable)
    has_public_ipv4 = any(isinstance(address, ipaddress.IPv4Address) for address in public)
    return GatewayAddresses(
        sort_addresses(str(address) for address in public),
        behind_nat=not has_public_ipv4 and (has_ipv4 or not public),
    )


def is_public(address: str) -> bool:
    """Check if a CA on the Internet could connect to ``address``."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.is_site_local:
        return False
    return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved)


def is_internal(address: str) -> bool:
    """Check if ``address`` is meaningful only inside one host or network."""
    parsed = ipaddress.ip_address(address)
    return any(parsed in network for network in _INTERNAL)


def interface_addresses() -> tuple[str, ...]:
    """Return every IP address of every interface of this host, without scope.

    Raises:
        ResolutionError: The operating system does not list them.
    """
    import psutil  # noqa: PLC0415 - 10 ms that a gateway with configured addresses does not need

    try:
        interfaces = psutil.net_if_addrs()
    except OSError as error:
        raise ResolutionError(
            f"this host's addresses cannot be read ({error.strerror or error}), "
            "so gatecert cannot check that the hostname points here",
            fix="list them under the gateway's addresses, or allow the service AF_NETLINK sockets",
        ) from error
    return tuple(
        entry.address.partition("%")[0]
        for entries in interfaces.values()
        for entry in entries
        if entry.family in {socket.AF_INET, socket.AF_INET6}
    )
