"""Settings of the challenges and of the resolver."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Annotated, ClassVar, Final

from pydantic import Field, PlainValidator

from gatecert.config.addresses import DnsServer, Listener, Nameserver
from gatecert.config.paths import AnyFile, Command
from gatecert.config.schema.base import Settings, choice
from gatecert.config.schema.dns_provider import MINUTE, DnsProviderSettings, provider_name
from gatecert.config.values import Duration, Switch, text_schema
from gatecert.model import Endpoint


class ChallengeKind(StrEnum):
    """Challenge types (RFC 8555 section 8, RFC 8737), in the order in which ``auto`` tries them.

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
        """True for TXT record challenges: they validate wildcards but not addresses."""
        return self.value.startswith("dns-")

    @property
    def settings_key(self) -> str:
        """The key below ``challenges`` that configures it."""
        return "dns-01" if self is ChallengeKind.DNS_ACCOUNT_01 else self.value


class Propagation(StrEnum):
    """The nameservers that must return a TXT record."""

    AUTHORITATIVE = "authoritative"
    RECURSIVE = "recursive"


class ResolverSettings(Settings):
    """DNS resolution of the hostnames."""

    nameservers: tuple[Nameserver, ...] = Field(
        default=(),
        description="Addresses of nameservers; default port 53. Default: the system's. /etc/hosts "
        "is never read.",
    )
    interval: Duration = Field(
        default=timedelta(seconds=30),
        description="How often to look up a name that does not point here. One that points here "
        "is looked up ten times as rarely, and rarer still while nothing changes, up to once an "
        "hour.",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=5), description="Timeout of a look-up in total."
    )


CA_PORTS: Final = {"http-01": 80, "tls-alpn-01": 443}  # RFC 8555 section 8.3, RFC 8737 section 3


class Http01Settings(Settings):
    """http-01: the CA fetches a file over port 80 (RFC 8555 section 8.3).

    Either gatecert listens itself, or it writes the files to the directory of a web server.
    """

    listen: tuple[Listener, ...] = Field(
        default=(Endpoint("::", 80), Endpoint("0.0.0.0", 80)),  # noqa: S104 - the CA may connect from anywhere
        description="Addresses to listen on: port 80 only during a validation, any other for as "
        "long as the daemon runs. Behind a proxy: a loopback address with a port below 1024, which "
        "no other user can bind.",
    )
    webroot: AnyFile | None = Field(
        default=None,
        description="Directory that a web server serves on port 80, instead of listen. It must "
        "exist; symbolic links below it are not followed.",
    )


class TlsAlpn01Settings(Settings):
    """tls-alpn-01: the CA makes a TLS handshake on port 443 (RFC 8737)."""

    listen: tuple[Listener, ...] = Field(
        default=(Endpoint("::", 443), Endpoint("0.0.0.0", 443)),  # noqa: S104 - as above
        description="Addresses to listen on: port 443 only during a validation, any other for as "
        "long as the daemon runs. Behind a proxy: a loopback address with a port below 1024, which "
        "no other user can bind.",
    )


AUTHORITATIVE = (
    "Nameservers that must return the record, instead of those of the zone; default port 53. For "
    "zones that look different from here than from the CA. Default: every nameserver of the zone."
)

PROPAGATION = (
    "Nameservers that must return the record: authoritative (those of the zone, asked directly) or "
    "recursive (resolver.nameservers, or the system's), for hosts that can reach resolvers only."
)


OWN_PROVIDERS = ("rfc2136", "exec")


class Dns01Settings(DnsProviderSettings):
    """dns-01: the CA looks up a TXT record (RFC 8555 section 8.4).

    The same settings apply to dns-account-01, whose record name depends on the account.
    """

    own_providers: ClassVar[tuple[str, ...]] = OWN_PROVIDERS

    provider: Annotated[
        str, PlainValidator(partial(provider_name, own=OWN_PROVIDERS)), text_schema("text")
    ] = Field(
        description="rfc2136 (dynamic updates), exec (a command), or a dns-lexicon provider's name."
    )
    command: Command = Field(
        default=(),
        description="exec: command as a list of arguments; called with present or clean-up.",
    )
    command_timeout: Duration = Field(
        default=MINUTE, description="exec: after this the command is killed."
    )
    follow_aliases: Switch = Field(
        default=True,
        description="Whether to follow an alias (CNAME) at _acme-challenge; aliases synthesised "
        "from a wildcard are never followed.",
    )
    propagation: Annotated[Propagation, *choice(Propagation)] = Field(
        default=Propagation.AUTHORITATIVE, description=PROPAGATION
    )
    propagation_timeout: Duration = Field(
        default=2 * MINUTE,
        description="How long to wait until all nameservers return the record.",
    )
    propagation_interval: Duration = Field(
        default=timedelta(seconds=2),
        description="How often to ask them meanwhile; more often at first.",
    )
    authoritative: tuple[DnsServer, ...] = Field(default=(), description=AUTHORITATIVE)


class DnsPersist01Settings(Settings):
    """dns-persist-01: a permanent TXT record that a person publishes once.

    gatecert never changes it, and only checks before an order that the record exists.
    """

    propagation: Annotated[Propagation, *choice(Propagation)] = Field(
        default=Propagation.AUTHORITATIVE, description=PROPAGATION
    )
    authoritative: tuple[DnsServer, ...] = Field(default=(), description=AUTHORITATIVE)


class ChallengeSettings(Settings):
    """The challenge types and their settings."""

    http_01: Http01Settings = Field(
        default=Http01Settings(),
        alias="http-01",
        description="Respond over HTTP. Always enabled; listens on port 80 by default.",
    )
    tls_alpn_01: TlsAlpn01Settings | None = Field(
        default=None,
        alias="tls-alpn-01",
        description="Respond in a TLS handshake on port 443. Default: disabled.",
    )
    dns_01: Dns01Settings | None = Field(
        default=None,
        alias="dns-01",
        description="Respond with a DNS record; required for wildcards. Default: disabled.",
    )
    dns_persist_01: DnsPersist01Settings | None = Field(
        default=None,
        alias="dns-persist-01",
        description="Use a permanent DNS record; write {} to enable it. Default: disabled.",
    )

    @property
    def listeners(self) -> dict[str, tuple[Endpoint, ...]]:
        """The addresses that gatecert listens on, by challenge type; none for a webroot."""
        found = {}
        if self.http_01.webroot is None:
            found["http-01"] = self.http_01.listen
        if self.tls_alpn_01 is not None:
            found["tls-alpn-01"] = self.tls_alpn_01.listen
        return found
