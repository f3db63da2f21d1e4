"""Syntax of addresses and endpoints.

IPv6 addresses are in brackets where a port follows (RFC 3986 section 3.2.2). The hosts and ports
allowed depend on the key, so several annotated types share one parser.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Final

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from gatecert.config.values import (
    AsText,
    BadValueError,
    quoted,
    text,
    text_schema,
    whole_number,
)
from gatecert.model import Endpoint

LONGEST_SOCKET_PATH: Final = 107  # bytes, unix(7)
LAST_PORT: Final = 65535  # 16 bits
TLS_SERVER_KEYS: Final = ("address", "starttls", "proxy_protocol", "server_name")
STARTTLS: Final = ("smtp", "imap", "pop3", "ldap", "postgres", "ftp", "xmpp")
PROXY_PROTOCOLS: Final = (1, 2)
_EVERY_ADDRESS: Final = {"0.0.0.0", "::"}  # noqa: S104 - only compared


def address(value: object) -> str:
    """Parse a unicast IP address; return canonical text."""
    try:
        result = ipaddress.ip_address(text(value).strip("[]"))
    except ValueError as error:
        raise BadValueError(f"{quoted(value)} is not an IP address") from error
    if result.is_unspecified or result.is_multicast:
        raise BadValueError(f"{quoted(value)} is not a unicast address")
    return str(result)


def endpoint(value: object, *, port: int | None = None, numeric: bool = False) -> Endpoint:
    """Parse ``host:port``, an IPv6 address in brackets.

    Args:
        value: The value as written.
        port: The default port; None if a port is required.
        numeric: Whether the host must be an IP address.
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
        raise BadValueError(f"{quoted(value)} {missing}; write it like {example}")
    try:
        return Endpoint(str(ipaddress.ip_address(host)), number)
    except ValueError as error:
        if numeric or not re.fullmatch(r"(?=.*[a-z])[a-z0-9]([a-z0-9.-]*[a-z0-9])?", host):
            what = "an IP address" if numeric else "a valid host"
            raise BadValueError(
                f"{quoted(value)} does not name {what}; write it like {example}"
            ) from error
    return Endpoint(host, number)


def _split(written: str) -> tuple[str, str]:
    """Split host and port; either is empty where it is missing or invalid."""
    bracketed = re.fullmatch(r"\[([^\[\]]*:[^\[\]]*)\](?::([^:]+))?", written)
    if bracketed:
        return bracketed[1], bracketed[2] or ""
    if written.count(":") > 1:  # a bare IPv6 address can have no port
        return written, ""
    host, colon, port = written.lower().partition(":")
    return host, port if port or not colon else "?"


def is_loopback(host: str) -> bool:
    """Check whether a host (a name, or an address without brackets) is this one by itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def overlap(one: Endpoint, other: Endpoint) -> bool:
    """Check whether two listeners cannot be bound at the same time."""
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
            f"{quoted(value)} is an IPv4-mapped IPv6 address; write "
            f"{Endpoint(str(host.ipv4_mapped), listener.port)}"
        )
    return listener


def web_listener(value: object) -> str:
    """Parse ``address:port``, or ``unix:`` and the absolute path of a socket; return its text."""
    written = text(value)
    scheme, colon, path = written.partition(":")
    if not (colon and scheme == "unix"):
        return str(_listener(value))
    if not path.startswith("/") or len(path.encode()) > LONGEST_SOCKET_PATH:
        raise BadValueError(
            f"{quoted(value)} is not a socket; write unix: and an absolute path of at most "
            f"{LONGEST_SOCKET_PATH} bytes, such as unix:/run/gatecert/page"
        )
    return written


def _nameserver(value: object) -> Endpoint:
    return endpoint(value, port=53, numeric=True)


def _dns_server(value: object) -> Endpoint:
    return endpoint(value, port=53)


def _database_server(value: object) -> Endpoint:
    return endpoint(value, port=5432)


def _tls_server(value: object) -> Endpoint:
    """Parse ``host:port``, or a mapping with protocol options."""
    if not isinstance(value, dict):
        return endpoint(value, port=443)
    for key in value:
        if key not in TLS_SERVER_KEYS:
            near = difflib.get_close_matches(str(key), TLS_SERVER_KEYS, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise BadValueError(
                f"has the unknown key {quoted(key)}{hint}; known keys: {', '.join(TLS_SERVER_KEYS)}"
            )
    if "address" not in value:
        raise BadValueError("has no address; write {address: host:port, …}")
    server = endpoint(value["address"], port=443)
    starttls = value.get("starttls", "")
    if starttls and starttls not in STARTTLS:
        raise BadValueError(
            f"starttls {quoted(starttls)} is not supported; write one of {', '.join(STARTTLS)}"
        )
    version = _proxy_protocol(value["proxy_protocol"]) if "proxy_protocol" in value else 0
    name = text(value["server_name"]).lower() if value.get("server_name") else ""
    if name and not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name):
        raise BadValueError(f"server_name {quoted(name)} is not a host name; write A-labels")
    protocol = text(starttls) if starttls else ""
    return replace(server, starttls=protocol, proxy_protocol=version, server_name=name)


def _proxy_protocol(value: object) -> int:
    """Parse a version of the PROXY protocol; scalars of the file are text."""
    with suppress(BadValueError):
        version = whole_number(value)
        if version in PROXY_PROTOCOLS:
            return version
    raise BadValueError(f"proxy_protocol {quoted(value)} is not supported; write 1 or 2")


def _tls_server_text(server: Endpoint) -> str | dict[str, object]:
    """Return the value as written: ``host:port``, or a mapping with options."""
    more = {name: getattr(server, name) for name in TLS_SERVER_KEYS[1:] if getattr(server, name)}
    return {"address": str(server), **more} if more else str(server)


Address = Annotated[str, PlainValidator(address), text_schema("IP address")]
Listener = Annotated[Endpoint, PlainValidator(_listener), AsText, text_schema("address:port")]
WebListener = Annotated[
    str, PlainValidator(web_listener), text_schema("address:port or unix:/path")
]
Nameserver = Annotated[Endpoint, PlainValidator(_nameserver), AsText, text_schema("address:port")]
DnsServer = Annotated[Endpoint, PlainValidator(_dns_server), AsText, text_schema("host:port")]
DatabaseServer = Annotated[
    Endpoint, PlainValidator(_database_server), AsText, text_schema("host:port")
]
TlsServer = Annotated[
    Endpoint,
    PlainValidator(_tls_server),
    PlainSerializer(_tls_server_text),
    WithJsonSchema(
        {
            "title": "host:port, or a mapping",
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["address"],
                    "properties": {
                        "address": {"type": "string"},
                        "starttls": {"enum": list(STARTTLS)},
                        "proxy_protocol": {"enum": list(PROXY_PROTOCOLS)},
                        "server_name": {"type": "string"},
                    },
                },
            ],
        }
    ),
]


def port_number(value: object) -> int:
    """Parse a TCP port."""
    number = whole_number(value)
    if not 1 <= number <= LAST_PORT:
        raise BadValueError(f"{quoted(value)} is not a port; write 1 to {LAST_PORT}")
    return number


Port = Annotated[
    int,
    PlainValidator(port_number),
    WithJsonSchema({"type": "integer", "title": "port", "minimum": 1, "maximum": LAST_PORT}),
]
