"""How addresses and endpoints are written.

An IPv6 address stands in brackets where a port follows (RFC 3986 section 3.2.2). Which hosts and
ports make sense depends on the key, hence several annotated types over one parser.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final

from pydantic import PlainValidator, WithJsonSchema

from gatecert.config.values import (
    AsText,
    BadValueError,
    shown,
    text,
    whole_number,
    written_as,
)
from gatecert.model import Endpoint

LAST_PORT: Final = 65535  # 16 bits
_EVERY_ADDRESS: Final = {"0.0.0.0", "::"}  # noqa: S104 - only compared


def address(value: object) -> str:
    """An IP address that one host can have, as canonical text."""
    try:
        result = ipaddress.ip_address(text(value).strip("[]"))
    except ValueError as error:
        raise BadValueError(f"{shown(value)} is not an IP address") from error
    if result.is_unspecified or result.is_multicast:
        raise BadValueError(f"{shown(value)} is not the address of one host")
    return str(result)


def endpoint(value: object, *, port: int | None = None, numeric: bool = False) -> Endpoint:
    """``host:port``, an IPv6 address in brackets.

    Args:
        value: What was written.
        port: The port where none is written; None where one has to be.
        numeric: Whether the host has to be an IP address.
    """
    if isinstance(value, Endpoint):
        return value
    example = f"[::1]:{port or 80} or 127.0.0.1:{port or 80}"
    host, written = _split(text(value))
    number = int(written) if re.fullmatch(r"[0-9]{1,5}", written) else 0
    if not written and port is not None:
        number = port
    if not host or not 0 < number <= LAST_PORT:
        missing = "has no port" if host and not written else "is not a host and a port"
        raise BadValueError(f"{shown(value)} {missing}; write it like {example}")
    try:
        return Endpoint(str(ipaddress.ip_address(host)), number)
    except ValueError as error:
        if numeric or not re.fullmatch(r"(?=.*[a-z])[a-z0-9]([a-z0-9.-]*[a-z0-9])?", host):
            lacking = "IP address" if numeric else "host"
            raise BadValueError(
                f"{shown(value)} names no {lacking}; write it like {example}"
            ) from error
    return Endpoint(host, number)


def _split(written: str) -> tuple[str, str]:
    """Host and port as written, either of them empty where it is missing or makes no sense."""
    bracketed = re.fullmatch(r"\[([^\[\]]*:[^\[\]]*)\](?::([^:]+))?", written)
    if bracketed:
        return bracketed[1], bracketed[2] or ""
    if written.count(":") > 1:  # a bare IPv6 address can have no port
        return written, ""
    host, colon, port = written.lower().partition(":")
    return host, port if port or not colon else "?"


def overlap(one: Endpoint, other: Endpoint) -> bool:
    """Whether who listens at one address is in the way of who listens at the other."""
    if one.port != other.port:
        return False
    hosts = {one.host, other.host}
    if not hosts & _EVERY_ADDRESS:
        return len(hosts) == 1
    return len({":" in host for host in hosts}) == 1


def _listener(value: object) -> Endpoint:
    listener = endpoint(value, numeric=True)
    host = ipaddress.ip_address(listener.host)
    if isinstance(host, ipaddress.IPv6Address) and host.ipv4_mapped is not None:
        raise BadValueError(
            f"{shown(value)} is an IPv4 address inside an IPv6 one; write "
            f"{Endpoint(str(host.ipv4_mapped), listener.port)}"
        )
    return listener


def _nameserver(value: object) -> Endpoint:
    return endpoint(value, port=53, numeric=True)


def _dns_server(value: object) -> Endpoint:
    return endpoint(value, port=53)


def _tls_server(value: object) -> Endpoint:
    return endpoint(value, port=443)


Address = Annotated[str, PlainValidator(address), written_as("IP address")]
Listener = Annotated[Endpoint, PlainValidator(_listener), AsText, written_as("address:port")]
Nameserver = Annotated[Endpoint, PlainValidator(_nameserver), AsText, written_as("address:port")]
DnsServer = Annotated[Endpoint, PlainValidator(_dns_server), AsText, written_as("host:port")]
TlsServer = Annotated[Endpoint, PlainValidator(_tls_server), AsText, written_as("host:port")]


def port_number(value: object) -> int:
    """A TCP port."""
    number = whole_number(value)
    if not 1 <= number <= LAST_PORT:
        raise BadValueError(f"{shown(value)} is not a port; write 1 to {LAST_PORT}")
    return number


Port = Annotated[
    int,
    PlainValidator(port_number),
    WithJsonSchema({"type": "integer", "title": "port", "minimum": 1, "maximum": LAST_PORT}),
]
