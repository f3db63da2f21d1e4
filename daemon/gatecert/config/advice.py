"""What is allowed, yet will not work as it stands: `gatecert check` says so, nothing refuses it.

What an authority does cannot be known from a configuration, and who owns a port may change; so
these are notes.
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
EXAMPLES: Final = {"example.com", "example.net", "example.org"}
RESERVED: Final = {"example", "invalid", "localhost", "test"}
"""Names that nobody has (RFC 2606); authorities refuse them in contact addresses."""

FOR_ADDRESSES: Final = "shortlived"
"""The only profile of Let's Encrypt that has addresses in certificates."""


def advice(target: Target, configuration: Configuration) -> Iterator[str]:
    """What an operator should know about a gateway that is to be enrolled, one line each."""
    yield from _addresses(target, configuration)
    yield from _bindings(target, configuration)
    yield from _contacts(target, configuration)
    yield from _public_authorities(target, configuration)
    yield from _taken_ports(target, configuration)


def _addresses(target: Target, configuration: Configuration) -> Iterator[str]:
    """Few authorities issue for addresses, and then only in some profiles."""
    address = next((name for name in target.identifiers if name.type is IdentifierType.IP), None)
    if address is None:
        return
    for name in target.authorities:
        authority = configuration.authorities[name]
        host = urlsplit(authority.directory_url).hostname or ""
        at_lets_encrypt = host == LETS_ENCRYPT or host.endswith(f".{LETS_ENCRYPT}")
        profile = authority.profile.name if authority.profile is not None else ""
        if at_lets_encrypt and profile != FOR_ADDRESSES:
            yield (
                f"Let's Encrypt issues for addresses such as {address} in one profile only; set "
                f"authorities.{name}.profile: {FOR_ADDRESSES}"
            )


def _bindings(target: Target, configuration: Configuration) -> Iterator[str]:
    """Some public authorities want to know whom they deal with."""
    for name in target.authorities:
        authority = configuration.authorities[name]
        known = by_directory(authority.directory_url)
        if known is not None and known.external_account and authority.external_account is None:
            yield (
                f"{name} makes an account only for those it knows already; unless there is one, "
                f"get a key from it and set authorities.{name}.external_account"
            )


def _contacts(target: Target, configuration: Configuration) -> Iterator[str]:
    """Public authorities refuse addresses in domains that are reserved for examples."""
    for name in target.authorities:
        authority = configuration.authorities[name]
        if by_directory(authority.directory_url) is None:
            continue
        for address in authority.contact:
            domain = address.rpartition("@")[2].lower()
            if domain in EXAMPLES or domain.rpartition(".")[2] in RESERVED:
                yield (
                    f"{name} refuses contact addresses such as {address}, a domain for examples; "
                    f"correct authorities.{name}.contact"
                )


def _public_authorities(target: Target, configuration: Configuration) -> Iterator[str]:
    """Public authorities are passed over where a name is not public."""
    gateway = configuration.gateways.get(target.name)
    private = next((name for name in target.identifiers if private_reason(name)), None)
    if gateway is None or private is None:
        return
    passed_over = [
        name
        for name in requested_authorities(gateway, configuration)
        if name not in target.authorities
    ]
    if passed_over:
        yield (
            f"{', '.join(passed_over)} is passed over: {private} {private_reason(private)}, and "
            "public CAs issue for public names only"
        )


def _taken_ports(target: Target, configuration: Configuration) -> Iterator[str]:
    """tls-alpn-01 wants the very port that a gateway has."""
    settings = configuration.challenges.tls_alpn_01
    if settings is None or ChallengeKind.TLS_ALPN_01 not in target.challenges:
        return
    for listener in settings.listen:
        for server in target.install.verify:
            if overlap(listener, server):
                yield (
                    f"challenges.tls-alpn-01.listen {listener} is where the gateway itself listens "
                    f"(install.verify {server}); let it hand connections for ALPN acme-tls/1 to "
                    "another address, and set listen to that: docs/challenges.md"
                )
                break
