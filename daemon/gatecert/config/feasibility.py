"""Checks of valid settings that cannot work.

Only ``gatecert check`` and ``doctor`` run them, as those of `config.existence`: the daemon starts,
since other gateways do not depend on it.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gatecert.config.configuration_finding import Finding
from gatecert.config.names import GLOBAL, PRIVATE_NETWORKS
from gatecert.config.regions import country_complaint, first_excluded
from gatecert.config.schema import ChallengeKind
from gatecert.config.targets import challenges, identifiers, requested_authorities
from gatecert.config.well_known import is_public_ca
from gatecert.model import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gatecert.config.configuration_finding import Location
    from gatecert.config.schema import AuthoritySettings, Configuration, GatewaySettings
    from gatecert.config.tree import Plain

EXAMPLES: Final = {"example.com", "example.net", "example.org"}
RESERVED: Final = {"example", "invalid", "localhost", "test"}
"""Reserved names (RFC 2606); CAs refuse them in contact addresses."""

NO_COUNTRY: Final = "XX"
"""Stands in certificates for a country without a code; ISO 3166 leaves it for private use."""

MOST_NAMES: Final = 100
MOST_NAMES_BY_PROFILE: Final = {"tlsserver": 25, "shortlived": 25}
"""Names in a certificate of Let's Encrypt (https://letsencrypt.org/docs/profiles/)."""


def findings(configuration: Configuration, written: Mapping[str, Plain]) -> Iterator[Finding]:
    """Yield settings that cannot work.

    Args:
        configuration: The configuration.
        written: Its keys and values as written.
    """
    yield from _regions(written)
    enrolled = [
        gateway
        for gateway in configuration.gateways.values()
        if gateway.mode is Mode.AUTOMATIC and not _excluded(gateway, configuration)
    ]
    used = {name for each in enrolled for name in requested_authorities(each, configuration)}
    for name, authority in configuration.authorities.items():
        if name in used and is_public_ca(authority.directory_url):
            yield from _contacts(name, authority)
    for gateway in configuration.gateways.values():
        country = gateway.subject.country
        if country not in {None, NO_COUNTRY} and (what := country_complaint(str(country))):
            yield Finding(("gateways", gateway.name, "subject", "C"), what)
    for gateway in enrolled:
        names = requested_authorities(gateway, configuration)
        public = {
            name: configuration.authorities[name]
            for name in names
            if is_public_ca(configuration.authorities[name].directory_url)
        }
        if public and len(public) == len(names):
            yield from _number_of_names(gateway, public)
            yield from _private_addresses(gateway, configuration, public)


def _excluded(gateway: GatewaySettings, configuration: Configuration) -> bool:
    """Check whether a gateway is in an excluded region."""
    excluded = configuration.excluded_regions
    return bool(first_excluded(gateway.region or "", identifiers(gateway), excluded))


def _regions(written: Mapping[str, Plain]) -> Iterator[Finding]:
    """Check that each region is a country."""
    gateways = written.get("gateways")
    named = [
        ((key, name), group)
        for key, groups in (("gateways", gateways), ("defaults", {"": written.get("defaults")}))
        if isinstance(groups, dict)
        for name, group in groups.items()
    ]
    excluded = written.get("excluded_regions")
    regions: list[tuple[Location, Plain]] = [
        (("excluded_regions", index), code)
        for index, code in enumerate(excluded if isinstance(excluded, list) else [])
    ]
    regions += [
        ((*filter(None, where), "region"), group["region"])
        for where, group in named
        if isinstance(group, dict) and "region" in group
    ]
    for where, code in regions:
        is_code = isinstance(code, str) and code.strip().lower() != GLOBAL
        if is_code and (what := country_complaint(str(code))):
            yield Finding(where, what)


def _contacts(name: str, authority: AuthoritySettings) -> Iterator[Finding]:
    """Check that no contact address is an example: public CAs refuse the account."""
    for index, address in enumerate(authority.contact):
        domain = address.rpartition("@")[2].lower()
        if domain in EXAMPLES or domain.rpartition(".")[2] in RESERVED:
            what = (
                f"{address} is an example, which public CAs refuse; write your mail address, or "
                "leave contact out"
            )
            yield Finding(("authorities", name, "contact", index), what)


def _number_of_names(
    gateway: GatewaySettings, public: Mapping[str, AuthoritySettings]
) -> Iterator[Finding]:
    """Check that one of the CAs issues for so many names."""
    most, count = max(map(_most_names, public.values())), len(identifiers(gateway))
    if count > most:
        what = (
            f"the certificate would have {count} names, and {', '.join(public)} allows at most "
            f"{most}; split them over several gateways"
        )
        yield Finding(("gateways", gateway.name, "alternative_names"), what)


def _most_names(authority: AuthoritySettings) -> int:
    host = urlsplit(authority.directory_url).hostname or ""
    profile = authority.profile
    if profile is None or not profile.required or not host.endswith("letsencrypt.org"):
        return MOST_NAMES
    return MOST_NAMES_BY_PROFILE.get(profile.name, MOST_NAMES)


def _private_addresses(
    gateway: GatewaySettings, configuration: Configuration, public: Mapping[str, AuthoritySettings]
) -> Iterator[Finding]:
    """Check that the CAs can reach an address of the gateway, unless it validates by DNS."""
    kinds = challenges(gateway, configuration.challenges)
    if not gateway.addresses or any(ChallengeKind(kind).is_dns for kind in kinds):
        return
    addresses = [ipaddress.ip_address(each) for each in gateway.addresses]
    if all(any(address in each for each in PRIVATE_NETWORKS) for address in addresses):
        what = (
            f"{addresses[0]} is a private address, which {', '.join(public)} cannot reach for "
            f"{' or '.join(kinds)}; write the public address that the hostname has, or use dns-01"
        )
        yield Finding(("gateways", gateway.name, "addresses", 0), what)
