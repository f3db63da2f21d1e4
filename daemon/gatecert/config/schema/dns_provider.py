"""Settings of what changes a zone: nameservers with dynamic updates, and DNS providers."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, PlainValidator

from gatecert.config.addresses import DnsServer
from gatecert.config.names import KeyName, ZoneName
from gatecert.config.paths import SecretFile
from gatecert.config.schema.base import Settings, choice
from gatecert.config.values import Duration, Text, text, text_schema

MINUTE = timedelta(minutes=1)


class TsigAlgorithm(StrEnum):
    """Secure TSIG algorithms (RFC 8945 section 6)."""

    HMAC_SHA256 = "hmac-sha256"
    HMAC_SHA384 = "hmac-sha384"
    HMAC_SHA512 = "hmac-sha512"


BROKEN = dict.fromkeys(
    ("hmac-md5", "hmac-md5.sig-alg.reg.int", "hmac-sha1"),
    "its hash is broken; create a new key, for example hmac-sha256",
)


class TsigSettings(Settings):
    """The key that signs dynamic updates (RFC 8945)."""

    name: KeyName = Field(description="Name of the key, as configured on the nameserver.")
    algorithm: Annotated[TsigAlgorithm, *choice(TsigAlgorithm, BROKEN)] = Field(
        default=TsigAlgorithm.HMAC_SHA256,
        description="HMAC algorithm: hmac-sha256, hmac-sha384 or hmac-sha512.",
    )
    secret_file: SecretFile = Field(
        description="File with the key's secret (base64), or credential:NAME."
    )


class DnsProviderSettings(Settings):
    """The provider that changes a zone, and its credentials.

    ``own_providers`` are gatecert's own; every other name is a provider of dns-lexicon.
    """

    own_providers: ClassVar[tuple[str, ...]] = ("rfc2136",)

    provider: Annotated[str, PlainValidator(text), text_schema("text")] = Field(
        description="rfc2136 (dynamic updates), or a dns-lexicon provider's name."
    )
    server: DnsServer | None = Field(
        default=None, description="rfc2136: primary nameserver; default port 53."
    )
    tsig: TsigSettings | None = Field(
        default=None, description="rfc2136: key that signs the updates."
    )
    zone: ZoneName | None = Field(
        default=None, description="Zone of the records. Default: found by its SOA record."
    )
    options: dict[Text, Text] = Field(
        default_factory=dict, description="Lexicon: the provider's options that are not secret."
    )
    credentials: dict[Text, SecretFile] = Field(
        default_factory=dict,
        description="Lexicon: the provider's secret options, each with a file that contains it, or "
        "credential:NAME.",
    )
    ttl: Duration = Field(default=MINUTE, description="Time to live of the record.")


def provider_name(value: object, own: tuple[str, ...]) -> str:
    """Parse a DNS provider: gatecert's own in any case, those of Lexicon as written."""
    written = text(value)
    return written.lower() if written.lower() in own else written
