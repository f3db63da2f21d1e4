"""Protection of listeners on this host against DNS rebinding.

A page of a stranger, open in a browser on this host, may have its own name resolve to 127.0.0.1 and
then read what listens there: to the browser, both are one origin. But the browser sends that name
in the Host header (RFC 9110 section 7.2), and no name server can lead an address elsewhere. Unix
sockets, TLS and passwords are not open to this attack.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import Final

from gatecert.monitoring.exchange import Response

MISDIRECTED: Final = Response(  # RFC 9110 section 15.5.20
    b"This listener answers to an IP address and to localhost only. A reverse proxy must send one"
    b" of them as Host, or connect to a Unix socket.\n",
    421,
)


def is_misdirected(host: str, client: str) -> bool:
    """Return whether a request over plain HTTP may come from a page of a stranger.

    Args:
        host: The Host header; empty if there is none.
        client: Address of the client; no address for a Unix socket.
    """
    with suppress(ValueError):
        return ipaddress.ip_address(client).is_loopback and not _is_safe(host)
    return False


def _is_safe(host: str) -> bool:
    """Tell whether a Host header is an address, localhost or empty."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    name = name.lower().removesuffix(".")
    if name in {"", "localhost"} or name.endswith(".localhost"):
        return True
    with suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return False
