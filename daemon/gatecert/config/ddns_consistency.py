"""Checks across the keys of dynamic DNS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gatecert.config.configuration_finding import Finding, nearest
from gatecert.config.names import private_reason
from gatecert.config.schema.ddns import AS_DNS_01, DUCKDNS, DYNDNS2, RFC2136
from gatecert.config.update_services import UPDATE_SERVICES, UpdateServiceName
from gatecert.model import Identifier, IdentifierType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.config.configuration_finding import Location
    from gatecert.config.schema import Configuration, GatewaySettings
    from gatecert.config.schema.ddns import AddressSourceSettings, DdnsSettings

SECRET_OPTION: Final = re.compile(r"token|secret|passw|key$", re.IGNORECASE)
DUCKDNS_ZONE: Final = ".duckdns.org"
DUCKDNS_TOKEN: Final = "auth_token"  # noqa: S105 - the name of an option
OF_PROVIDER: Final = {
    RFC2136: {"server", "tsig", "zone", "ttl"},
    DYNDNS2: {"service", "url", "username", "password_file"},
    DUCKDNS: {"credentials"},
    AS_DNS_01: set[str](),
}
OF_LEXICON: Final = {"zone", "options", "credentials", "ttl"}


def findings(gateway: GatewaySettings, configuration: Configuration) -> Iterator[Finding]:
    """Yield what is wrong with the dynamic DNS of a gateway."""
    settings = gateway.ddns
    if settings is None:
        return
    here: Location = ("gateways", gateway.name, "ddns")
    provider = (*here, "provider")
    mine = OF_PROVIDER.get(settings.provider, OF_LEXICON)
    keys = {*OF_LEXICON, *(key for keys in OF_PROVIDER.values() for key in keys)}
    unused = [key for key in type(settings).model_fields if key in keys - mine]
    unused = [key for key in unused if key in settings.model_fields_set]
    hint = "" if settings.provider in OF_PROVIDER else nearest(settings.provider, OF_PROVIDER)
    if settings.provider.lower() in set(UpdateServiceName):
        hint = f"write provider: {DYNDNS2} and service: {settings.provider.lower()}"
    if unused and hint:
        yield Finding(provider, f"{settings.provider} does not use {unused[0]}; {hint}")
        return
    for each in unused:
        what = f"is not used by provider {settings.provider}; leave it out"
        if "provider" not in settings.model_fields_set:
            what = f"is not used with the provider of challenges.{AS_DNS_01}; write provider"
        yield Finding((*here, each), what, (provider,))
    yield from _provider(here, gateway, settings, configuration)
    for option in settings.options:
        if SECRET_OPTION.search(option):
            what = "is a secret; store it in a file and name the file below credentials instead"
            yield Finding((*here, "options", option), what)
    if settings.remove_stale and settings.source is not None and settings.source.https is not None:
        what = "is not possible with source.https, which cannot tell that there is no address"
        yield Finding((*here, "remove_stale"), what, ((*here, "source"),))
    if settings.source is not None:
        yield from _source((*here, "source"), settings.source)
    yield from _addresses(here, gateway, settings)


def _provider(
    here: Location, gateway: GatewaySettings, settings: DdnsSettings, configuration: Configuration
) -> Iterator[Finding]:
    """Check that the provider has what it needs."""
    provider: tuple[Location, ...] = ((*here, "provider"),)
    match settings.provider:
        case "rfc2136" if settings.server is None:
            yield Finding((*here, "server"), "is required for provider rfc2136", provider)
        case "dyndns2":
            yield from _dyndns2(here, settings)
        case "duckdns":
            yield from _duckdns(here, gateway, settings)
        case "dns-01":
            dns_01 = configuration.challenges.dns_01
            if dns_01 is None:
                what = "is required, since challenges.dns-01 is not configured"
                yield Finding((*here, "provider"), what, (("challenges", AS_DNS_01),))
            elif dns_01.provider == "exec":
                what = "is required, since the command of challenges.dns-01 knows TXT records only"
                depends = (("challenges", AS_DNS_01, "provider"),)
                yield Finding((*here, "provider"), what, depends)


def _dyndns2(here: Location, settings: DdnsSettings) -> Iterator[Finding]:
    provider: tuple[Location, ...] = ((*here, "provider"),)
    if settings.service is None and settings.url is None:
        what = f"is required for provider dyndns2: {', '.join(UPDATE_SERVICES)}, or url instead"
        yield Finding((*here, "service"), what, (*provider, (*here, "url")))
    if settings.service is not None and settings.url is not None:
        yield Finding((*here, "url"), "excludes service; leave one of them out")
    if settings.password_file is None:
        what = "is required for provider dyndns2: store the password in a file and name it here"
        yield Finding((*here, "password_file"), what, provider)
    service = UPDATE_SERVICES.get(settings.service) if settings.service is not None else None
    by_https = settings.source is not None and settings.source.https is not None
    if settings.remove_stale and not by_https and not (service is not None and service.removes):
        able = ", ".join(name for name, each in UPDATE_SERVICES.items() if each.removes)
        what = f"is not possible over dyndns2, except with service {able}; leave it out"
        yield Finding((*here, "remove_stale"), what, (*provider, (*here, "service")))


def _duckdns(here: Location, gateway: GatewaySettings, settings: DdnsSettings) -> Iterator[Finding]:
    for option in settings.credentials:
        if option != DUCKDNS_TOKEN:
            what = f"is not a credential of provider duckdns; write {DUCKDNS_TOKEN}"
            yield Finding((*here, "credentials", option), what)
    if not settings.credentials:
        what = f"is required for provider duckdns: {{{DUCKDNS_TOKEN}: FILE}}"
        yield Finding((*here, "credentials"), what, ((*here, "provider"),))
    if not gateway.hostname.endswith(DUCKDNS_ZONE):
        what = f"is duckdns, but {gateway.hostname} does not end in {DUCKDNS_ZONE}"
        yield Finding((*here, "provider"), what, (("gateways", gateway.name, "hostname"),))


def _source(here: Location, source: AddressSourceSettings) -> Iterator[Finding]:
    """Check that there is one source."""
    written = [key for key in type(source).model_fields if getattr(source, key) is not None]
    if len(written) > 1:
        yield Finding((*here, written[1]), f"excludes {written[0]}; leave one of them out")
    if not written:
        keys = ", ".join(type(source).model_fields)
        yield Finding(here, f"is empty; write one of {keys}, or leave it out")


def _addresses(
    here: Location, gateway: GatewaySettings, settings: DdnsSettings
) -> Iterator[Finding]:
    """Check that the configured addresses may be published."""
    if settings.source is not None or settings.allow_private:
        return
    for index, address in enumerate(gateway.addresses):
        if private_reason(Identifier(IdentifierType.IP, address)):
            what = (
                f"{address} is a private address, which ddns does not publish; write the public "
                "one, name a ddns.source, or set ddns.allow_private: true"
            )
            where = ("gateways", gateway.name, "addresses", index)
            yield Finding(where, what, ((*here, "source"), (*here, "allow_private")))
