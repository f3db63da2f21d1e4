"""Warnings of `gatecert check` about valid settings that will not work as they are.

A configuration cannot show what a CA does, and the owner of a port may change; so these are
notes, not errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gatecert.config.addresses import overlap
from gatecert.config.names import private_reason
from gatecert.config.schema import ChallengeKind
from gatecert.config.targets import requested_authorities
from gatecert.config.well_known import by_directory
from gatecert.model import IdentifierType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.config.schema import Configuration
    from gatecert.model import Target

LETS_ENCRYPT: Final = "letsencrypt.org"
ADDRESS_PROFILE: Final = "shortlived"
"""The only profile of Let's Encrypt for IP addresses."""


def advice(target: Target, configuration: Configuration) -> Iterator[str]:
    """Yield the warnings for a gateway that is enrolled, one line each."""
    yield from _addresses(target, configuration)
    yield from _bindings(target, configuration)
    yield from _public_authorities(target, configuration)
    yield from _taken_ports(target, configuration)
    if configuration.fleet is None:
        yield from _members(target, configuration)


def _addresses(target: Target, configuration: Configuration) -> Iterator[str]:
    """Warn about IP addresses, which few CAs certify, and only with some profiles."""
    address = next((name for name in target.identifiers if name.type is IdentifierType.IP), None)
    if address is None:
        return
    for name in target.authorities:
        authority = configuration.authorities[name]
        host = urlsplit(authority.directory_url).hostname or ""
        at_lets_encrypt = host == LETS_ENCRYPT or host.endswith(f".{LETS_ENCRYPT}")
        profile = authority.profile.name if authority.profile is not None else ""
        if at_lets_encrypt and profile != ADDRESS_PROFILE:
            yield (
                f"Let's Encrypt issues for IP addresses such as {address} with one profile only;"
                f" set authorities.{name}.profile: {ADDRESS_PROFILE}"
            )


def _bindings(target: Target, configuration: Configuration) -> Iterator[str]:
    """Warn about CAs that require external account binding."""
    for name in target.authorities:
        authority = configuration.authorities[name]
        known = by_directory(authority.directory_url)
        if known is not None and known.external_account and authority.external_account is None:
            yield (
                f"{name} requires external account binding (EAB); unless an account exists, get a"
                f" key from the CA and set authorities.{name}.external_account"
            )


def _public_authorities(target: Target, configuration: Configuration) -> Iterator[str]:
    """Warn about public CAs that are not used because a name is not public."""
    gateway = configuration.gateways.get(target.name)
    private = next((name for name in target.identifiers if private_reason(name)), None)
    if gateway is None or private is None:
        return
    unused = [
        name
        for name in requested_authorities(gateway, configuration)
        if name not in target.authorities
    ]
    if unused:
        yield (
            f"{', '.join(unused)} not used: {private} {private_reason(private)}, and public "
            "CAs issue for public names only"
        )


def _taken_ports(target: Target, configuration: Configuration) -> Iterator[str]:
    """Warn about tls-alpn-01 on the port of the gateway itself."""
    settings = configuration.challenges.tls_alpn_01
    if settings is None or ChallengeKind.TLS_ALPN_01 not in target.challenges:
        return
    for listener in settings.listen:
        for server in target.install.verify:
            if overlap(listener, server):
                yield (
                    f"challenges.tls-alpn-01.listen {listener} is the gateway's own address"
                    f" (install.verify {server}); let the gateway forward connections with ALPN"
                    " acme-tls/1 to another address, and set listen to that: docs/challenges.md"
                )
                break


def _members(target: Target, configuration: Configuration) -> Iterator[str]:
    """Warn of more hosts than a CA gives certificates for the same names.

    Each host has a certificate of its own. One of those that the limit allows is left for a host
    that is installed anew; renewals with renewal information (RFC 9773) do not count.
    """
    hosts = len(target.members)
    for name in target.authorities:
        limit = configuration.authorities[name].limits.duplicates
        if limit is not None and hosts >= limit.count:
            yield (
                f"{hosts} hosts share {target.hostname}, and {name} issues {limit.count}"
                f" certificates in {limit.period_text} for the same names, so a new host may wait"
                " that long for its first one; give each host a name of its own in"
                " alternative_names as well: docs/cluster.md"
            )
