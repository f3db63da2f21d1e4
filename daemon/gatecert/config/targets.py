"""From settings to the ``Target`` of each gateway, which is all that the pipeline gets to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.config.names import display_form, private_reason
from gatecert.config.schema import ChallengeKind
from gatecert.config.well_known import is_public_ca
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
        InstallSettings,
    )


def targets(configuration: Configuration) -> tuple[Target, ...]:
    """The gateways, in the order in which they were written."""
    return tuple(target(gateway, configuration) for gateway in configuration.gateways.values())


def target(gateway: GatewaySettings, configuration: Configuration) -> Target:
    """One gateway, with what it takes over from the rest of the configuration."""
    automatic = gateway.mode is Mode.AUTOMATIC
    return Target(
        name=gateway.name,
        identifiers=identifiers(gateway),
        display_name=display_form(gateway.hostname),
        mode=gateway.mode,
        region=gateway.region or "",
        addresses=gateway.addresses,
        authorities=authorities(gateway, configuration) if automatic else (),
        challenges=challenges(gateway, configuration.challenges),
        key=KeyPolicy(gateway.key.type, gateway.key.reuse, gateway.key.second),
        install=_install_plan(gateway.install),
        renewal=RenewalPolicy(
            renewal_info=gateway.renewal.renewal_info,
            remaining=gateway.renewal.remaining,
            revocation_lists=gateway.renewal.revocation_lists,
        ),
        subject=tuple(gateway.subject.attributes().items()),
        members=tuple(
            Member(name, settings.common_name) for name, settings in gateway.members.items()
        ),
        member=gateway.member or "",
        client_authentication=_client_authentication(gateway),
        profile=ClientProfile(gateway.profile.display_name or "", gateway.profile.port),
    )


def requested_authorities(
    gateway: GatewaySettings, configuration: Configuration
) -> tuple[str, ...]:
    """The authorities that a gateway names, or all of them, in order, none of them twice."""
    return tuple(dict.fromkeys(gateway.authorities or tuple(configuration.authorities)))


def authorities(gateway: GatewaySettings, configuration: Configuration) -> tuple[str, ...]:
    """Those of them that may issue for all of its names."""
    names = requested_authorities(gateway, configuration)
    if not any(private_reason(name) for name in identifiers(gateway)):
        return names
    private = tuple(name for name in names if may_issue_private_names(name, configuration))
    return private or names


def may_issue_private_names(name: str, configuration: Configuration) -> bool:
    """Whether an authority may issue for names that are not public."""
    authority = configuration.authorities.get(name)
    return authority is not None and not is_public_ca(authority.directory_url)


def identifiers(gateway: GatewaySettings) -> tuple[Identifier, ...]:
    """The hostname first, then the alternative names, none of them twice.

    A member of a pair that brings its own certificate has its own name right after the shared one.
    """
    names = [Identifier(IdentifierType.DNS, gateway.hostname)]
    if gateway.mode is Mode.CUSTOM and gateway.member in gateway.members:
        own = gateway.members[gateway.member].common_name
        names.append(Identifier(IdentifierType.DNS, own))
    return tuple(dict.fromkeys((*names, *gateway.alternative_names)))


def challenges(gateway: GatewaySettings, settings: ChallengeSettings) -> tuple[str, ...]:
    """The kinds of challenge to try, in order.

    ``auto`` is every kind that is set up and can show control over one of the names at least: only
    dns-* kinds can for wildcards (RFC 8555 section 8.4), and they cannot for addresses (RFC 8738
    section 7); which of them a name gets is decided name by name (``challenge.challenge_order``).
    dns-account-01 can do nothing that dns-01 cannot, and is taken only where it is asked for.
    """
    if gateway.challenge:
        return tuple(kind.value for kind in gateway.challenge)
    names = identifiers(gateway)
    return tuple(
        kind.value
        for kind in configured_kinds(settings)
        if kind is not ChallengeKind.DNS_ACCOUNT_01
        and any(can_validate(kind, name) for name in names)
    )


def can_validate(kind: ChallengeKind, name: Identifier) -> bool:
    """Whether a kind of challenge can show control over such a name at all."""
    if name.type is IdentifierType.IP:
        return not kind.is_dns
    return kind.is_dns or not name.is_wildcard


def configured_kinds(settings: ChallengeSettings) -> list[ChallengeKind]:
    """The kinds of challenge that have what they need; http-01 needs nothing."""
    settings_of = {
        ChallengeKind.HTTP_01: settings.http_01,
        ChallengeKind.TLS_ALPN_01: settings.tls_alpn_01,
        ChallengeKind.DNS_01: settings.dns_01,
        ChallengeKind.DNS_ACCOUNT_01: settings.dns_01,
        ChallengeKind.DNS_PERSIST_01: settings.dns_persist_01,
    }
    return [kind for kind in ChallengeKind if settings_of[kind] is not None]


def _client_authentication(gateway: GatewaySettings) -> ClientAuthentication | None:
    settings = gateway.client_authentication
    if settings is None:
        return None
    return ClientAuthentication(settings.crl_files, settings.known_users)


def _install_plan(install: InstallSettings) -> InstallPlan:
    return InstallPlan(
        reload=install.reload,
        reload_timeout=install.reload_timeout,
        verify=install.verify,
        verify_command=install.verify_command,
        verify_timeout=install.verify_timeout,
        watch=install.watch,
        copies=tuple(
            FileCopy(
                copy.path,
                copy.contents,
                copy.owner,
                copy.group,
                copy.mode,
                password_file=copy.password_file,
            )
            for copy in install.copy_to
        ),
        key_group=install.key_group,
        keep_versions=install.keep_versions,
    )
