"""Settings of dynamic DNS: who publishes the addresses of a gateway, and where they come from."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema

from gatecert.config.addresses import DnsServer
from gatecert.config.names import ZoneName
from gatecert.config.paths import AnyFile, SecretFile
from gatecert.config.schema.base import Settings, choice, one_of
from gatecert.config.schema.dns_provider import DnsProviderSettings, provider_name
from gatecert.config.update_services import UpdateServiceName
from gatecert.config.values import BadValueError, Duration, Switch, Text, quoted, text, text_schema
from gatecert.model import RecordKind

AS_DNS_01: Final = "dns-01"
DYNDNS2: Final = "dyndns2"
DUCKDNS: Final = "duckdns"
RFC2136: Final = "rfc2136"
NO_SERVICE: Final = {
    "duckdns": "it has a protocol of its own; write provider: duckdns",
    "cloudflare": "it does not speak dyndns2; write provider: cloudflare",
}


def https_url(value: object) -> str:
    """Parse an https URL without credentials."""
    written = text(value)
    try:
        parts = urlsplit(written)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadValueError("is not a URL; write https://host/path") from error
    if parts.username is not None or parts.password is not None:
        raise BadValueError("must not contain a user name or password")
    if parts.scheme == "http":
        raise BadValueError(
            f"{quoted(written)} is not safe: over plain http anyone on the path could read the "
            "password or change the address; write https://"
        )
    if parts.scheme != "https" or not host or port == 0 or re.search(r"\s", written):
        raise BadValueError(f"{quoted(written)} is not an https URL; write https://host/path")
    if parts.fragment:
        raise BadValueError(f"{quoted(written)} must not have a fragment (#{parts.fragment})")
    return written


def https_urls(value: object) -> tuple[str, ...]:
    """Parse an https URL, or a list of them."""
    urls = value if isinstance(value, list | tuple) else [value]
    if not urls:
        raise BadValueError("is empty; write https://host/path")
    return tuple(https_url(each) for each in urls)


def record_kinds(value: object) -> tuple[RecordKind, ...]:
    """Parse A, AAAA or a list of both."""
    kinds = [value] if isinstance(value, str) else value
    if not isinstance(kinds, list | tuple) or not kinds:
        raise BadValueError("is not a list of record types; write [A], [AAAA] or [A, AAAA]")
    return tuple(dict.fromkeys(one_of(RecordKind, kind) for kind in kinds))


HttpsURL = Annotated[str, PlainValidator(https_url), text_schema("https URL")]
HttpsURLs = Annotated[
    tuple[str, ...],
    PlainValidator(https_urls),
    PlainSerializer(list, return_type=list[str]),
    WithJsonSchema(
        {
            "title": "https URL, or list of them",
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ],
        }
    ),
]
RecordKinds = Annotated[
    tuple[RecordKind, ...],
    PlainValidator(record_kinds),
    PlainSerializer(lambda kinds: [kind.value for kind in kinds]),
    WithJsonSchema(
        {
            "title": "list of A and AAAA",
            "anyOf": [
                {"enum": [kind.value for kind in RecordKind]},
                {
                    "type": "array",
                    "items": {"enum": [kind.value for kind in RecordKind]},
                    "minItems": 1,
                },
            ],
        }
    ),
]


class AnswerType(StrEnum):
    """The record types in which a nameserver returns the address of who asks."""

    ADDRESS = "address"
    TXT = "TXT"


class AddressResolver(StrEnum):
    """Public nameservers that answer with the address of who asks."""

    OPENDNS = "opendns"
    GOOGLE = "google"


class DnsSourceSettings(Settings):
    """A name that a nameserver answers with the address of who asks."""

    name: ZoneName = Field(description="The name to look up, such as myip.opendns.com.")
    server: DnsServer = Field(
        description="The nameserver to ask, such as resolver1.opendns.com; default port 53."
    )
    type: Annotated[AnswerType, *choice(AnswerType)] = Field(
        default=AnswerType.ADDRESS,
        description="address (an A record over IPv4, an AAAA record over IPv6) or TXT.",
    )


class AddressSourceSettings(Settings):
    """The source of the gateway's addresses; exactly one of the keys."""

    interface: Text | None = Field(
        default=None, description="The addresses of this network interface."
    )
    resolver: Annotated[AddressResolver, *choice(AddressResolver)] | None = Field(
        default=None,
        description="The address that this public nameserver sees: opendns or google.",
    )
    dns: DnsSourceSettings | None = Field(
        default=None, description="The address that another nameserver sees."
    )
    https: HttpsURLs | None = Field(
        default=None,
        description="The address in the answer of a web service; a list may name one that is "
        "reached over IPv4 and one over IPv6.",
    )


class DdnsSettings(DnsProviderSettings):
    """Dynamic DNS: keeps the A and AAAA records of the hostname at the gateway's addresses.

    The records of alternative_names are left alone.
    """

    own_providers: ClassVar[tuple[str, ...]] = (RFC2136, DYNDNS2, DUCKDNS, AS_DNS_01)

    provider: Annotated[
        str, PlainValidator(partial(provider_name, own=own_providers)), text_schema("text")
    ] = Field(
        default=AS_DNS_01,
        description="dyndns2 (No-IP, deSEC, Hurricane Electric …), duckdns, rfc2136 (dynamic "
        "updates), a dns-lexicon provider's name, or dns-01: the provider of challenges.dns-01 "
        "with its credentials.",
    )
    service: Annotated[UpdateServiceName, *choice(UpdateServiceName, NO_SERVICE)] | None = Field(
        default=None,
        description=f"dyndns2: the service, one of {', '.join(UpdateServiceName)}.",
    )
    url: HttpsURL | None = Field(
        default=None, description="dyndns2: URL of another service, instead of service."
    )
    username: Text | None = Field(
        default=None, description="dyndns2: user name. Default: the hostname."
    )
    password_file: SecretFile | None = Field(
        default=None,
        description="dyndns2: file with the password or token, or credential:NAME.",
    )
    ca_bundle: AnyFile | None = Field(
        default=None,
        description="dyndns2, duckdns and source.https: trusted roots. Default: the system's.",
    )
    source: AddressSourceSettings | None = Field(
        default=None,
        description="Where the addresses come from. Default: addresses, else the public addresses "
        "of this host's interfaces.",
    )
    records: RecordKinds = Field(
        default=tuple(RecordKind), description="The record types to keep. Default: both."
    )
    remove_stale: Switch = Field(
        default=False,
        description="Whether to remove the A or the AAAA record if the gateway has no address of "
        "that kind.",
    )
    allow_private: Switch = Field(
        default=False, description="Whether to publish addresses that are not public."
    )
    interval: Duration = Field(
        default=timedelta(minutes=5), description="How often to look at the addresses."
    )
