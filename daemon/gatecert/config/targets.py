"""Conversion of settings to the ``Target`` of each gateway, all that the pipeline sees.

A group of settings becomes the policy of the model whose fields have the same names: see
docs/decisions/0015-settings-become-policies.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gatecert.config.addresses import is_loopback
from gatecert.config.names import display_form, private_reason
from gatecert.config.schema import ChallengeKind
from gatecert.config.schema.challenge import CA_PORTS
from gatecert.config.well_known import is_public_ca
from gatecert.garbage_collection import without_garbage_collection
from gatecert.model import (
    ClientAuthentication,
    ClientProfile,
    FileCopy,
    Identifier,
    IdentifierType,
    InstallPlan,
    KeyPolicy,
    Member,
    Mode,
    RenewalPolicy,
    Target,
)

if TYPE_CHECKING:
    from gatecert.config.schema import (
        ChallengeSettings,
        Configuration,
        GatewaySettings,
        Settings,
    )
    from gatecert.model import Endpoint


Policy = TypeVar("Policy", KeyPolicy, RenewalPolicy, FileCopy, ClientAuthentication, ClientProfile)


@without_garbage_collection()
def targets(configuration: Configuration) -> tuple[Target, ...]:
    """Return the gateways, in the order of the file."""
    return tuple(target(gateway, configuration) for gateway in configuration.gateways.values())


def target(gateway: GatewaySettings, configuration: Configuration) -> Target:
    """Return one gateway, completed from the rest of the configuration."""
    automatic = gateway.mode is Mode.AUTOMATIC
    users = gateway.client_authentication
    copies = tuple(_policy(FileCopy, copy) for copy in gateway.install.copy_to)
    return Target(
        name=gateway.name,
        identifiers=identifiers(gateway),
        display_name=display_form(gateway.hostname),
        mode=gateway.mode,
        region=gateway.region or "",
        addresses=gateway.addresses,
        authorities=authorities(gateway, configuration) if automatic else (),
        challenges=challenges(gateway, configuration.challenges),
        key=_policy(KeyPolicy, gateway.key),
        install=InstallPlan(**(vars(gateway.install) | {"copy_to": copies})),
        renewal=_policy(RenewalPolicy, gateway.renewal),
        subject=tuple(gateway.subject.attributes().items()),
        members=tuple(
            Member(name, settings.common_name) for name, settings in gateway.members.items()
        ),
        member=gateway.member or "",
        client_authentication=_policy(ClientAuthentication, users) if users is not None else None,
        profile=_policy(ClientProfile, gateway.profile),
        keeps_records=gateway.ddns is not None,
        is_looked_up=gateway.resolution,
    )


def forwarded_listeners(configuration: Configuration) -> dict[str, tuple[Endpoint, ...]]:
    """Return the addresses that the CA reaches only if something forwards to them.

    They have another port than the one that the CA connects to, or are loopback addresses.

    Returns:
        By challenge type that a gateway uses.
    """
    used = {
        kind
        for gateway in configuration.gateways.values()
        if gateway.mode is Mode.AUTOMATIC
        for kind in challenges(gateway, configuration.challenges)
    }
    return {
        kind: tuple(each for each in found if each.port != CA_PORTS[kind] or is_loopback(each.host))
        for kind, found in configuration.challenges.listeners.items()
        if kind in used
    }


def _policy(kind: type[Policy], settings: Settings) -> Policy:
    """Return a group of settings as the policy with the same fields."""
    return kind(**vars(settings))


def requested_authorities(
    gateway: GatewaySettings, configuration: Configuration
) -> tuple[str, ...]:
    """Return the authorities that a gateway names, or all of them, in order, each once."""
    return tuple(dict.fromkeys(gateway.authorities or tuple(configuration.authorities)))


def authorities(gateway: GatewaySettings, configuration: Configuration) -> tuple[str, ...]:
    """Return the requested authorities that may issue for all names of a gateway."""
    names = requested_authorities(gateway, configuration)
    if not any(private_reason(name) for name in identifiers(gateway)):
        return names
    private = tuple(name for name in names if may_issue_private_names(name, configuration))
    return private or names


def may_issue_private_names(name: str, configuration: Configuration) -> bool:
    """Check whether an authority may issue for names that are not public."""
    authority = configuration.authorities.get(name)
    return authority is not None and not is_public_ca(authority.directory_url)


def identifiers(gateway: GatewaySettings) -> tuple[Identifier, ...]:
    """Return the hostname, then the alternative names, each once.

    A member of a pair with imported certificates has its own name right after the shared one.
    """
    names = [Identifier(IdentifierType.DNS, gateway.hostname)]
    if gateway.mode is Mode.CUSTOM and gateway.member in gateway.members:
        own = gateway.members[gateway.member].common_name
        names.append(Identifier(IdentifierType.DNS, own))
    return tuple(dict.fromkeys((*names, *gateway.alternative_names)))


def challenges(gateway: GatewaySettings, settings: ChallengeSettings) -> tuple[str, ...]:
    """Return the challenge types to try, in order.

    ``auto`` is every configured type that can validate at least one of the names: only dns-* types
    validate wildcards (RFC 8555 section 8.4), and they cannot validate addresses (RFC 8738 section
    7); ``challenge.challenge_order`` decides name by name. Without look-ups of the names, ``auto``
    is every dns-* type. dns-account-01 adds nothing to dns-01 and is used only where configured
    explicitly.
    """
    if gateway.challenge:
        return tuple(kind.value for kind in gateway.challenge)
    names = identifiers(gateway)
    return tuple(
        kind.value
        for kind in configured_kinds(settings)
        if kind is not ChallengeKind.DNS_ACCOUNT_01
        and (gateway.resolution or kind.is_dns)
        and any(can_validate(kind, name) for name in names)
    )


def can_validate(kind: ChallengeKind, name: Identifier) -> bool:
    """Check whether a challenge type can validate a name at all."""
    if name.type is IdentifierType.IP:
        return not kind.is_dns
    return kind.is_dns or not name.is_wildcard


def configured_kinds(settings: ChallengeSettings) -> list[ChallengeKind]:
    """Return the challenge types that have the settings they need; http-01 needs none."""
    settings_of = {
        ChallengeKind.HTTP_01: settings.http_01,
        ChallengeKind.TLS_ALPN_01: settings.tls_alpn_01,
        ChallengeKind.DNS_01: settings.dns_01,
        ChallengeKind.DNS_ACCOUNT_01: settings.dns_01,
        ChallengeKind.DNS_PERSIST_01: settings.dns_persist_01,
    }
    return [kind for kind in ChallengeKind if settings_of[kind] is not None]
