"""TCP sockets of this host on which something listens, from /proc/net (proc_net(5)), read-only."""

from __future__ import annotations

import ipaddress
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

LISTEN: Final = "0A"  # TCP_LISTEN, include/net/tcp_states.h
TABLES: Final = ("tcp", "tcp6")
WORD: Final = 8  # hexadecimal digits of 32 bits, in the byte order of the machine


class ListeningSocket(NamedTuple):
    """A listening socket.

    Attributes:
        address: The address to connect to from this host.
    """

    address: str
    port: int


def listening_sockets(directory: Path = Path("/proc/net")) -> tuple[ListeningSocket, ...]:
    """Return every listening TCP socket, once; a wildcard address becomes loopback."""
    found: dict[ListeningSocket, None] = {}
    for table in TABLES:
        try:
            lines = (directory / table).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if len(fields) > 3 and fields[3] == LISTEN:  # noqa: PLR2004 - the state
                host, _, port = fields[1].partition(":")
                found[ListeningSocket(_reachable(_address(host)), int(port, 16))] = None
    return tuple(sorted(_without_shadows(found)))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    words = [text[start : start + WORD] for start in range(0, len(text), WORD)]
    packed = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    address = ipaddress.ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _reachable(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    if not address.is_unspecified:
        return str(address)
    return "127.0.0.1" if address.version == 4 else "::1"  # noqa: PLR2004 - IPv4


def _without_shadows(found: dict[ListeningSocket, None]) -> Iterator[ListeningSocket]:
    """Leave ::1 out where 127.0.0.1 has the same port: usually one server on every address."""
    for each in found:
        if each.address != "::1" or ListeningSocket("127.0.0.1", each.port) not in found:
            yield each
