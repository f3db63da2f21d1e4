"""Builds what keeps the records of a gateway from its settings."""

from __future__ import annotations

import hashlib
from functools import cache, partial
from operator import add
from typing import TYPE_CHECKING, Final

from gatecert.challenge.dns01.build import known_zone
from gatecert.challenge.dns01.lexicon_provider import LexiconDnsProvider
from gatecert.challenge.dns01.rfc2136_provider import Rfc2136Provider
from gatecert.challenge.dns01.secret import read_secret
from gatecert.challenge.dns01.zones import Zones
from gatecert.config.schema.challenge import Propagation
from gatecert.config.schema.ddns import (
    AS_DNS_01,
    DUCKDNS,
    DYNDNS2,
    RFC2136,
    AddressResolver,
    AnswerType,
    DnsSourceSettings,
)
from gatecert.ddns.address_source import (
    ConfiguredSource,
    DnsSource,
    HttpsSource,
    InterfaceSource,
    LastingSource,
)
from gatecert.ddns.duckdns_updater import DuckdnsUpdater
from gatecert.ddns.dyndns2_updater import Dyndns2Updater
from gatecert.ddns.interfaces import stable_addresses
from gatecert.ddns.record_keeper import RecordKeeper, RecordPolicy
from gatecert.ddns.update_request import LARGEST_ANSWER
from gatecert.ddns.zone_updater import ZoneUpdater
from gatecert.http.fetcher import HttpFetcher
from gatecert.model import Endpoint
from gatecert.resolve.gateway_addresses import interface_addresses
from gatecert.resolve.seen_address import seen_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime, timedelta
    from pathlib import Path

    from gatecert.config.schema import (
        Configuration,
        DdnsSettings,
        Dns01Settings,
        DnsProviderSettings,
        GatewaySettings,
    )
    from gatecert.ddns.address_source import AddressSource
    from gatecert.ddns.updater import Updater
    from gatecert.resolve.resolver import Resolver

PUBLIC_RESOLVERS: Final = {
    AddressResolver.OPENDNS: DnsSourceSettings(
        name="myip.opendns.com", server=Endpoint("resolver1.opendns.com", 53)
    ),
    AddressResolver.GOOGLE: DnsSourceSettings(
        name="o-o.myaddr.l.google.com", server=Endpoint("ns1.google.com", 53), type=AnswerType.TXT
    ),
}


def build_keeper(
    gateway: GatewaySettings,
    configuration: Configuration,
    resolver: Resolver,
    after: Callable[[datetime, timedelta], datetime] = add,
) -> RecordKeeper:
    """Build what keeps the records of a gateway, without network or disk access.

    Args:
        gateway: The gateway.
        configuration: The provider of dns-01, and the nameservers that find zones.
        resolver: Looks names up.
        after: Returns the instant of the next look, about one interval after another instant.

    Raises:
        ValueError: The gateway has no dynamic DNS.
    """
    settings = gateway.ddns
    if settings is None:
        raise ValueError(f"gateway {gateway.name} has no dynamic DNS")
    dns_01 = configuration.challenges.dns_01
    provider: DnsProviderSettings = settings
    here = f"gateways.{gateway.name}.ddns"
    if settings.provider == AS_DNS_01 and dns_01 is not None:
        provider, here = dns_01, "challenges.dns-01"
        if dns_01.provider.lower() == DUCKDNS:
            settings = settings.model_copy(
                update={"provider": DUCKDNS, "credentials": dns_01.credentials}
            )
    is_service = settings.provider in {DYNDNS2, DUCKDNS}
    fetcher = _fetcher(settings.ca_bundle)
    return RecordKeeper(
        hostname=gateway.hostname,
        policy=RecordPolicy(
            kinds=settings.records,
            remove_stale=settings.remove_stale,
            allow_private=settings.allow_private,
            interval=settings.interval,
            one_each=is_service,
            counts_updates=is_service,
        ),
        source=_source(settings, gateway.addresses, resolver, fetcher),
        updater=_service(settings, fetcher, here)
        if is_service
        else _zone(provider, dns_01, configuration, here),
        resolver=resolver,
        stamp=partial(
            _stamp,
            f"{gateway.hostname} {settings.model_dump_json()} {provider.model_dump_json()}",
            tuple(_secret_files(settings, provider)),
        ),
        after=after,
    )


@cache
def _fetcher(ca_bundle: Path | None) -> HttpFetcher:
    """Return the fetcher of all gateways with these roots, which take a megabyte."""
    return HttpFetcher("https", max_bytes=LARGEST_ANSWER, ca_bundle=ca_bundle, redirects=0)


def _service(settings: DdnsSettings, fetcher: HttpFetcher, here: str) -> Updater:
    if settings.provider == DUCKDNS:
        token_file = settings.credentials["auth_token"]
        return DuckdnsUpdater(fetcher, token_file=token_file, read_secret=read_secret, here=here)
    if settings.password_file is None:
        raise ValueError(f"{here} has no password_file")  # config.ddns_consistency requires it
    return Dyndns2Updater(
        fetcher,
        service=settings.service,
        url=settings.url,
        username=settings.username,
        password_file=settings.password_file,
        read_secret=read_secret,
        here=here,
    )


def _zone(
    provider: DnsProviderSettings,
    dns_01: Dns01Settings | None,
    configuration: Configuration,
    here: str,
) -> Updater:
    same = dns_01 if provider is dns_01 else None
    zones = Zones(
        configuration.resolver.nameservers,
        configuration.resolver.timeout,
        zone=known_zone(provider),
        authoritative=same.authoritative if same is not None else (),
        recursive=same is not None and same.propagation is Propagation.RECURSIVE,
    )
    if provider.provider == RFC2136:
        return ZoneUpdater(Rfc2136Provider(provider, zones, here=here), zones)
    return ZoneUpdater(LexiconDnsProvider(provider, here=here), zones)


def _source(
    settings: DdnsSettings, addresses: tuple[str, ...], resolver: Resolver, fetcher: HttpFetcher
) -> AddressSource:
    source = settings.source
    if source is None:
        return ConfiguredSource(addresses) if addresses else InterfaceSource(stable_addresses)
    if source.https is not None:
        return _lasting(HttpsSource(fetcher, source.https))
    dns = source.dns or (PUBLIC_RESOLVERS[source.resolver] if source.resolver else None)
    if dns is None:
        return InterfaceSource(stable_addresses, source.interface or "")
    is_text = dns.type is AnswerType.TXT
    name = dns.name
    return _lasting(
        DnsSource(
            resolver,
            lambda server, kind: seen_address(name, server, kind, text=is_text),
            dns.server,
            settings.records,
        )
    )


def _lasting(source: AddressSource) -> AddressSource:
    return LastingSource(source, interface_addresses, stable_addresses)


def _secret_files(*settings: DnsProviderSettings) -> Iterable[Path]:
    for each in settings:
        yield from each.credentials.values()
        if each.tsig is not None:
            yield each.tsig.secret_file
        password_file: Path | None = getattr(each, "password_file", None)
        if password_file is not None:
            yield password_file


def _stamp(text: str, files: tuple[Path, ...]) -> str:
    """Return a digest of settings and of when secret files were changed, not of their content."""
    digest = hashlib.sha256(text.encode())
    for path in files:
        try:
            status = path.stat()
            digest.update(f" {status.st_mtime_ns} {status.st_size} {status.st_ino}".encode())
        except OSError:
            digest.update(b" missing")
    return digest.hexdigest()[:16]
