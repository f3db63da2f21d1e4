"""How control over a name is shown to an authority, and the resolver that is asked before."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, PlainValidator

from gatecert.config.addresses import DnsServer, Listener, Nameserver
from gatecert.config.names import KeyName, ZoneName
from gatecert.config.paths import AnyFile, Command, SecretFile
from gatecert.config.schema.base import Settings, choice
from gatecert.config.values import Duration, Switch, Text, text, text_schema
from gatecert.model import Endpoint

MINUTE = timedelta(minutes=1)


class ChallengeKind(StrEnum):
    """Challenge types (RFC 8555 section 8, RFC 8737), in the order in which ``auto`` takes them.

    dns-account-01 and dns-persist-01 are drafts (draft-ietf-acme-dns-account-label,
    draft-ietf-acme-dns-persist).
    """

    HTTP_01 = "http-01"
    TLS_ALPN_01 = "tls-alpn-01"
    DNS_01 = "dns-01"
    DNS_ACCOUNT_01 = "dns-account-01"
    DNS_PERSIST_01 = "dns-persist-01"

    @property
    def is_dns(self) -> bool:
        """Whether a TXT record answers it: good for wildcards, useless for addresses."""
        return self.value.startswith("dns-")

    @property
    def settings_key(self) -> str:
        """The key below ``challenges`` that sets it up."""
        return "dns-01" if self is ChallengeKind.DNS_ACCOUNT_01 else self.value


class Propagation(StrEnum):
    """Who is asked whether a TXT record can be seen."""

    AUTHORITATIVE = "authoritative"
    RECURSIVE = "recursive"


class TsigAlgorithm(StrEnum):
    """TSIG algorithms that are still sound (RFC 8945 section 6)."""

    HMAC_SHA256 = "hmac-sha256"
    HMAC_SHA384 = "hmac-sha384"
    HMAC_SHA512 = "hmac-sha512"


BROKEN = dict.fromkeys(
    ("hmac-md5", "hmac-md5.sig-alg.reg.int", "hmac-sha1"),
    "its hash is broken; make a new key, such as hmac-sha256",
)


class ResolverSettings(Settings):
    """Who is asked whether the hostnames point here, and how often."""

    nameservers: tuple[Nameserver, ...] = Field(
        default=(),
        description="Addresses of nameservers; port 53 if none is written. Default: the system's."
        " /etc/hosts is never read.",
    )
    interval: Duration = Field(
        default=timedelta(seconds=30),
        description="How often a name that does not point here is looked up.",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=5), description="How long one look-up may take in all."
    )


class Http01Settings(Settings):
    """http-01: the authority fetches a file over port 80 (RFC 8555 section 8.3).

    Either gatecert listens itself, or it writes the files where a web server finds them.
    """

    listen: tuple[Listener, ...] = Field(
        default=(Endpoint("::", 80), Endpoint("0.0.0.0", 80)),  # noqa: S104 - the authority comes from anywhere
        description="Addresses that gatecert answers on, only while a validation runs. Where "
        "something forwards to it: a loopback address with a port below 1024, which no other user "
        "can bind.",
    )
    webroot: AnyFile | None = Field(
        default=None,
        description="Directory that a web server serves on port 80; instead of listen. It has to "
        "exist, and no symbolic link is followed below it.",
    )


class TlsAlpn01Settings(Settings):
    """tls-alpn-01: the authority makes a TLS handshake on port 443 (RFC 8737)."""

    listen: tuple[Listener, ...] = Field(
        default=(Endpoint("::", 443), Endpoint("0.0.0.0", 443)),  # noqa: S104 - as above
        description="Addresses that gatecert answers on, only while a validation runs. Where "
        "something forwards to it: a loopback address with a port below 1024, which no other user "
        "can bind.",
    )


class TsigSettings(Settings):
    """The key that signs dynamic updates (RFC 8945)."""

    name: KeyName = Field(description="Name of the key, as the nameserver knows it.")
    algorithm: Annotated[TsigAlgorithm, *choice(TsigAlgorithm, BROKEN)] = Field(
        default=TsigAlgorithm.HMAC_SHA256,
        description="HMAC algorithm: hmac-sha256, hmac-sha384 or hmac-sha512.",
    )
    secret_file: SecretFile = Field(
        description="File that holds the key's secret (base64), or credential:NAME."
    )


OWN_PROVIDERS = ("rfc2136", "exec")
AUTHORITATIVE = (
    "Nameservers that have to answer with the record, in place of those that the zone names; port "
    "53 if none is written. For zones that look different from here than from the authority. "
    "Default: every nameserver of the zone."
)

PROPAGATION = (
    "Who has to answer with the record: authoritative (the zone's nameservers, asked directly) or "
    "recursive (resolver.nameservers, or the system's), for hosts that can ask resolvers only."
)


def provider_name(value: object) -> str:
    """Who changes zones: our own providers in any case, those of Lexicon as they are written."""
    written = text(value)
    return written.lower() if written.lower() in OWN_PROVIDERS else written


class Dns01Settings(Settings):
    """dns-01: the authority looks up a TXT record (RFC 8555 section 8.4).

    The same settings serve dns-account-01, whose record has a name of its own for each account.
    """

    provider: Annotated[str, PlainValidator(provider_name), text_schema("text")] = Field(
        description="rfc2136 (dynamic updates), exec (a command), or a dns-lexicon provider's name."
    )
    server: DnsServer | None = Field(
        default=None, description="rfc2136: primary nameserver; port 53 if none is written."
    )
    tsig: TsigSettings | None = Field(
        default=None, description="rfc2136: key that signs the updates."
    )
    zone: ZoneName | None = Field(
        default=None, description="Zone the records go into. Default: found by its SOA record."
    )
    command: Command = Field(
        default=(),
        description="exec: command as a list of arguments; called with present or clean-up.",
    )
    command_timeout: Duration = Field(
        default=MINUTE, description="exec: after this the command is killed."
    )
    options: dict[Text, Text] = Field(
        default_factory=dict, description="Lexicon: the provider's options that are no secret."
    )
    credentials: dict[Text, SecretFile] = Field(
        default_factory=dict,
        description="Lexicon: the provider's secret options, each the name of a file that holds "
        "it, or credential:NAME.",
    )
    follow_aliases: Switch = Field(
        default=True,
        description="Whether an alias (CNAME) at _acme-challenge leads the record elsewhere; one "
        "that a wildcard makes never does.",
    )
    ttl: Duration = Field(default=MINUTE, description="Time to live of the TXT record.")
    propagation: Annotated[Propagation, *choice(Propagation)] = Field(
        default=Propagation.AUTHORITATIVE, description=PROPAGATION
    )
    propagation_timeout: Duration = Field(
        default=2 * MINUTE,
        description="How long the nameservers may take until all of them answer with the record.",
    )
    propagation_interval: Duration = Field(
        default=timedelta(seconds=2),
        description="How often they are asked meanwhile; more often at first.",
    )
    authoritative: tuple[DnsServer, ...] = Field(default=(), description=AUTHORITATIVE)


class DnsPersist01Settings(Settings):
    """dns-persist-01: a TXT record that a person publishes once, and that stays.

    gatecert never changes it; before an order it only looks whether the record is there.
    """

    propagation: Annotated[Propagation, *choice(Propagation)] = Field(
        default=Propagation.AUTHORITATIVE, description=PROPAGATION
    )
    authoritative: tuple[DnsServer, ...] = Field(default=(), description=AUTHORITATIVE)


class ChallengeSettings(Settings):
    """The kinds of challenge that may be used, and what they need."""

    http_01: Http01Settings = Field(
        default=Http01Settings(),
        alias="http-01",
        description="Answer over HTTP on port 80. Always there; listens on port 80 by default.",
    )
    tls_alpn_01: TlsAlpn01Settings | None = Field(
        default=None,
        alias="tls-alpn-01",
        description="Answer within a TLS handshake on port 443. Default: not used.",
    )
    dns_01: Dns01Settings | None = Field(
        default=None,
        alias="dns-01",
        description="Answer with a DNS record; the only kind for wildcards. Default: not used.",
    )
    dns_persist_01: DnsPersist01Settings | None = Field(
        default=None,
        alias="dns-persist-01",
        description="Rely on a DNS record that stays; write {} to use it. Default: not used.",
    )
