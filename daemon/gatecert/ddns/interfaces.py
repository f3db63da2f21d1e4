"""The addresses of this host's interfaces that last: without temporary IPv6 addresses.

Temporary addresses (RFC 8981), deprecated ones and those whose uniqueness is not yet confirmed are
marked in ``if_inet6`` below /proc; a system without that file shows all addresses.
"""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import Final

from gatecert import regular_files
from gatecert.errors import ResolutionError
from gatecert.resolve.gateway_addresses import interface_addresses

IF_INET6: Final = Path("/proc/self/net/if_inet6")  # /proc/net is hidden from services
# <linux/if_addr.h>
TEMPORARY: Final = 0x01
DEPRECATED: Final = 0x20
TENTATIVE: Final = 0x40
UNSUITABLE: Final = TEMPORARY | DEPRECATED | TENTATIVE


def stable_addresses(interface: str = "", *, if_inet6: Path = IF_INET6) -> tuple[str, ...]:
    """Return the lasting addresses of one interface, or of all.

    Raises:
        ResolutionError: There is no such interface, or the operating system does not list them.
    """
    addresses = _of_interface(interface) if interface else interface_addresses()
    unsuitable = _unsuitable(if_inet6)
    return tuple(each for each in addresses if each not in unsuitable)


def _of_interface(interface: str) -> tuple[str, ...]:
    import psutil  # noqa: PLC0415 - as in gateway_addresses

    try:
        found = psutil.net_if_addrs().get(interface)
    except OSError as error:
        raise ResolutionError(
            f"the addresses of {interface} cannot be read: {error.strerror or error}",
            fix="allow the service AF_NETLINK sockets",
        ) from error
    if found is None:
        raise ResolutionError(
            f"there is no network interface {interface}, or it is down",
            fix="connect it, or correct ddns.source.interface",
        )
    return tuple(
        entry.address.partition("%")[0]
        for entry in found
        if entry.family in {socket.AF_INET, socket.AF_INET6}
    )


def _unsuitable(if_inet6: Path) -> set[str]:
    """Return the addresses that are not to be published; see if_inet6 in proc(5)."""
    try:
        lines = regular_files.read(if_inet6).decode("ascii").splitlines()
    except OSError:
        return set()
    fields = (line.split() for line in lines)
    return {
        str(ipaddress.IPv6Address(bytes.fromhex(each[0])))
        for each in fields
        if len(each) == 6 and int(each[4], 16) & UNSUITABLE  # noqa: PLR2004 - columns of the file
    }
