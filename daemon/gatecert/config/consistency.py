"""Checks across several keys.

Each error names the keys it depends on, so that a wrong key is not reported a second time by what
follows from it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gatecert.config import ddns_consistency, fleet_consistency, monitoring_consistency
from gatecert.config.addresses import overlap
from gatecert.config.configuration_finding import Finding, nearest
from gatecert.config.names import private_reason
from gatecert.config.regions import first_excluded
from gatecert.config.schema import ChallengeKind, Propagation
from gatecert.config.targets import (
    can_validate,
    challenges,
    configured_kinds,
    identifiers,
    may_issue_private_names,
    requested_authorities,
)
from gatecert.config.well_known import PUBLIC_CAS
from gatecert.model import FileContents, Identifier, IdentifierType, Mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.config.configuration_finding import Location
    from gatecert.config.schema import (
        ChallengeSettings,
        Configuration,
        Dns01Settings,
        GatewaySettings,
    )
    from gatecert.model import Endpoint

SECRET_OPTION: Final = re.compile(r"token|secret|passw|key$", re.IGNORECASE)


def findings(configuration: Configuration) -> Iterator[Finding]:
    """Yield the errors in keys that are valid on their own."""
    yield from _names(configuration)
    yield from _http_01(configuration)
    yield from _listeners(configuration)
    yield from monitoring_consistency.findings(configuration)
    yield from fleet_consistency.findings(configuration)
    yield from _dns_01(configuration.challenges.dns_01)
    yield from _propagation(configuration.challenges)
    yield from _duplicates(configuration)
    yield from _no_authorities(configuration)
    for gateway in configuration.gateways.values():
        yield from _second_key(gateway)
        yield from _copies(gateway)
        yield from _members(gateway)
        yield from _subject(gateway)
        yield from _authorities(gateway, configuration)
        yield from ddns_consistency.findings(gateway, configuration)
        if gateway.mode is Mode.AUTOMATIC:
            yield from _public(gateway, configuration)
            yield from _challenges(gateway, configuration)
            yield from _resolution(gateway, configuration)


def _names(configuration: Configuration) -> Iterator[Finding]:
    """Check that no name is written below its own key, and that required groups exist."""
    groups = (("authorities", configuration.authorities), ("gateways", configuration.gateways))
    for group, entries in groups:
        for key, entry in entries.items():
            if entry.name != key:
                yield Finding((group, key, "name"), "unknown key; the name is the key above it")
    for key, authority in configuration.authorities.items():
        if not authority.directory_url:
            what = f"is missing: URL of the ACME directory, or one of {', '.join(PUBLIC_CAS)}"
            yield Finding(("authorities", key, "directory_url"), what)
        pair = ("client_certificate", "client_key")
        given = [each for each in pair if getattr(authority, each) is not None]
        for missing in set(pair) - set(given) if given else ():
            what = f"is missing: {given[0]} requires it"
            yield Finding(("authorities", key, missing), what, (("authorities", key, given[0]),))
    fleet = configuration.fleet
    if not configuration.gateways and (fleet is None or fleet.issue is None):
        what = "has no gateway; write at least one"
        yield Finding(("gateways",), what, (("fleet", "issue"),))


def _second_key(gateway: GatewaySettings) -> Iterator[Finding]:
    """Check that the second key has another algorithm, in automatic mode."""
    key = gateway.key
    if key.second is None:
        return
    where = ("gateways", gateway.name, "key", "second")
    if key.second.algorithm == key.type.algorithm:
        other = "rsa-2048" if key.type.algorithm == "ecdsa" else "ecdsa-p256"
        what = f"has the same algorithm as {key.type}; write {other} or leave it out"
        yield Finding(where, what, (("gateways", gateway.name, "key", "type"),))
    elif gateway.mode is Mode.CUSTOM:
        what = "requires mode: automatic; leave it out"
        yield Finding(where, what, (("gateways", gateway.name, "mode"),))


def _http_01(configuration: Configuration) -> Iterator[Finding]:
    http_01 = configuration.challenges.http_01
    listen, webroot = (("challenges", "http-01", key) for key in ("listen", "webroot"))
    if http_01.webroot is not None and "listen" in http_01.model_fields_set:
        what = "cannot be combined with listen: either a web server answers, or gatecert does"
        yield Finding(webroot, what, (listen,))
    elif http_01.webroot is None and not http_01.listen:
        yield Finding(listen, "is empty; write addresses such as 0.0.0.0:80, or a webroot instead")
    tls_alpn_01 = configuration.challenges.tls_alpn_01
    if tls_alpn_01 is not None and not tls_alpn_01.listen:
        where = ("challenges", "tls-alpn-01", "listen")
        yield Finding(where, "is empty; write addresses such as 0.0.0.0:443")


def _listeners(configuration: Configuration) -> Iterator[Finding]:
    """Check that no two listeners use the same address."""
    http_01, tls_alpn_01 = configuration.challenges.http_01, configuration.challenges.tls_alpn_01
    listeners = {
        "http-01": http_01.listen if http_01.webroot is None else (),
        "tls-alpn-01": tls_alpn_01.listen if tls_alpn_01 is not None else (),
    }
    taken: list[tuple[str, Endpoint]] = []
    for kind, listen in listeners.items():
        for index, listener in enumerate(listen):
            other = next((each for each in taken if overlap(each[1], listener)), None)
            if other is None:
                taken.append((kind, listener))
                continue
            first = f"{other[1]} of challenges.{other[0]}.listen"
            what = f"{listener} is already used by {first}; leave one of them out"
            depends = (("challenges", other[0], "listen"),)
            yield Finding(("challenges", kind, "listen", index), what, depends)


def _dns_01(dns_01: Dns01Settings | None) -> Iterator[Finding]:
    """Check that the keys of dns-01 fit the provider."""
    if dns_01 is None:
        return
    here: Location = ("challenges", "dns-01")
    provider = (*here, "provider")
    own = {"rfc2136": {"server", "tsig"}, "exec": {"command", "command_timeout"}}
    wanted = {"rfc2136": ("server", dns_01.server), "exec": ("command", dns_01.command)}
    mine = own.get(dns_01.provider, {"options", "credentials"})
    unused = [
        key
        for key in ("server", "tsig", "command", "command_timeout", "options", "credentials")
        if key in dns_01.model_fields_set and key not in mine
    ]
    hint = "" if dns_01.provider in own else nearest(dns_01.provider, own)
    if unused and hint:
        yield Finding(provider, f"{dns_01.provider} does not use {unused[0]}; {hint}")
        return
    for each in unused:
        what = f"is not used by provider {dns_01.provider}; leave it out"
        yield Finding((*here, each), what, (provider,))
    key, value = wanted.get(dns_01.provider, ("", True))
    if not value:
        what = f"is required for provider {dns_01.provider}"
        yield Finding((*here, key), what, (provider,))
    for option in dns_01.options:
        if SECRET_OPTION.search(option):
            what = "is a secret; store it in a file and name the file below credentials instead"
            yield Finding((*here, "options", option), what)


def _propagation(challenges: ChallengeSettings) -> Iterator[Finding]:
    """Check that no nameservers are set where resolvers are asked."""
    kinds = {"dns-01": challenges.dns_01, "dns-persist-01": challenges.dns_persist_01}
    for kind, settings in kinds.items():
        if settings is None or settings.propagation is not Propagation.RECURSIVE:
            continue
        if settings.authoritative:
            here: Location = ("challenges", kind)
            what = "is not used with propagation recursive; leave it out"
            yield Finding((*here, "authoritative"), what, ((*here, "propagation"),))


def _duplicates(configuration: Configuration) -> Iterator[Finding]:
    """Check that two gateways share neither a hostname nor a file."""
    seen: dict[str, Location] = {}
    for gateway in configuration.gateways.values():
        here: Location = ("gateways", gateway.name)
        said = {gateway.hostname: (*here, "hostname")}
        for index, copy in enumerate(gateway.install.copy_to):
            where = (*here, "install", "copy_to", index, "path")
            first = seen.get(str(copy.path), said.get(str(copy.path)))
            if first is not None:
                yield Finding(where, f"is already written by {_gateway_of(first)}", (first,))
            said[str(copy.path)] = where
        first = seen.get(gateway.hostname)
        if first is not None:
            what = (
                f"{gateway.hostname} is already the hostname of {_gateway_of(first)}; write each "
                f"host once, with further listeners in its install.verify"
            )
            yield Finding((*here, "hostname"), what, (first,))
        for each, where in said.items():
            seen.setdefault(each, where)


def _copies(gateway: GatewaySettings) -> Iterator[Finding]:
    """Check that PKCS #12 files, and only those, have a password."""
    for index, copy in enumerate(gateway.install.copy_to):
        here: Location = ("gateways", gateway.name, "install", "copy_to", index)
        password, kind = (*here, "password_file"), (*here, "contents")
        if copy.contents is FileContents.PKCS12 and copy.password_file is None:
            what = "is required for pkcs12: store the password in a file and name it here"
            yield Finding(password, what, (kind,))
        if copy.contents is not FileContents.PKCS12 and copy.password_file is not None:
            what = f"is not used for {copy.contents}, which is not encrypted; leave it out"
            yield Finding(password, what, (kind,))


def _gateway_of(location: Location) -> str:
    return f"gateway {location[1]}"


def _members(gateway: GatewaySettings) -> Iterator[Finding]:
    """Check that the members of a pair have names of their own."""
    here: Location = ("gateways", gateway.name)
    members, member = (*here, "members"), (*here, "member")
    if gateway.member is not None and gateway.member not in gateway.members:
        hint = nearest(gateway.member, gateway.members, "add it there")
        yield Finding(member, f"{gateway.member} is not one of the members; {hint}", (members,))
    if len(gateway.members) == 1:
        what = "has only one host; write every host that shares the hostname, or leave it out"
        yield Finding(members, what)
    taken = {gateway.hostname: "the hostname that all members share"}
    for name, settings in gateway.members.items():
        if settings.common_name in taken:
            what = (
                f"{settings.common_name} is also {taken[settings.common_name]}; each host needs a "
                "name of its own in addition"
            )
            yield Finding((*members, name, "common_name"), what, ((*here, "hostname"), members))
        taken.setdefault(settings.common_name, f"the name of member {name}")


def _subject(gateway: GatewaySettings) -> Iterator[Finding]:
    """Check that no subject is set in automatic mode: ACME CAs ignore it."""
    if gateway.mode is Mode.AUTOMATIC and gateway.subject.attributes():
        here: Location = ("gateways", gateway.name)
        what = "requires mode: custom, since ACME CAs ignore it; leave it out"
        yield Finding((*here, "subject"), what, ((*here, "mode"),))


def _authorities(gateway: GatewaySettings, configuration: Configuration) -> Iterator[Finding]:
    """Check that the authorities named exist."""
    here: Location = ("gateways", gateway.name)
    for index, name in enumerate(gateway.authorities):
        if name not in configuration.authorities:
            hint = nearest(name, configuration.authorities, "add it there")
            what = f"{name} is not one of the authorities; {hint}"
            yield Finding((*here, "authorities", index), what, (("authorities", name),))


def _no_authorities(configuration: Configuration) -> Iterator[Finding]:
    """Check that there is an authority if a gateway needs one; name the first that does."""
    if configuration.authorities:
        return
    for gateway in configuration.gateways.values():
        if gateway.mode is Mode.AUTOMATIC and not _excluded(gateway, configuration):
            what = f"must have an entry, because gateway {gateway.name} has mode automatic"
            here: Location = ("gateways", gateway.name)
            keys = ("mode", "region", "hostname", "alternative_names", "authorities")
            depends = tuple((*here, key) for key in keys)
            yield Finding(("authorities",), what, (*depends, ("excluded_regions",)))
            return


def _excluded(gateway: GatewaySettings, configuration: Configuration) -> bool:
    """Check whether a gateway is in an excluded region."""
    excluded = configuration.excluded_regions
    return bool(first_excluded(gateway.region or "", identifiers(gateway), excluded))


def _public(gateway: GatewaySettings, configuration: Configuration) -> Iterator[Finding]:
    """Check that a gateway with private names has a CA that may issue for them."""
    names = [
        name
        for name in requested_authorities(gateway, configuration)
        if name in configuration.authorities
    ]
    if not names or any(may_issue_private_names(name, configuration) for name in names):
        return
    here: Location = ("gateways", gateway.name)
    alternatives = (
        ((*here, "alternative_names", index), name)
        for index, name in enumerate(gateway.alternative_names)
    )
    hostname = Identifier(IdentifierType.DNS, gateway.hostname)
    for where, name in (((*here, "hostname"), hostname), *alternatives):
        why = private_reason(name)
        if why:
            what = (
                f"{name} {why}, and public CAs ({', '.join(names)}) cannot issue for it; add a "
                "private CA to authorities, write a public name, or set mode: custom"
            )
            yield Finding(where, what, ((*here, "mode"), (*here, "authorities"), ("authorities",)))


def _challenges(gateway: GatewaySettings, configuration: Configuration) -> Iterator[Finding]:
    """Check that each challenge type is configured, and that each name can be validated."""
    here: Location = ("gateways", gateway.name)
    ready = configured_kinds(configuration.challenges)
    where = (*here, "challenge")
    for kind in gateway.challenge:
        if kind not in ready:
            needed: Location = ("challenges", kind.settings_key)
            what = f"{kind} is not configured; add challenges.{kind.settings_key}"
            yield Finding(where, what, (needed,))
    kinds = challenges(gateway, configuration.challenges)
    names = identifiers(gateway)
    depends: tuple[Location, ...] = (
        (*here, "hostname"),
        (*here, "alternative_names"),
        ("challenges",),
    )
    unproven = [
        name for name in names if not any(can_validate(ChallengeKind(kind), name) for kind in kinds)
    ]
    wildcard = next((name for name in unproven if name.is_wildcard), None)
    address = next((name for name in unproven if name.type is IdentifierType.IP), None)
    if not gateway.resolution and not kinds:
        return  # the CA takes the names as validated, or `_resolution` says that it does not
    if wildcard is not None:
        what = f"the wildcard {wildcard} requires dns-01; configure that and use it here"
        yield Finding(where, what, depends)
    if address is not None and kinds:
        what = f"{kinds[0]} cannot validate the IP address {address}; add http-01"
        yield Finding(where, what, depends)


def _resolution(gateway: GatewaySettings, configuration: Configuration) -> Iterator[Finding]:
    """Check that no CA has to find the gateway by its names if these are not looked up."""
    if gateway.resolution:
        return
    here: Location = ("gateways", gateway.name)
    where, challenge = (*here, "resolution"), (*here, "challenge")
    kinds = [ChallengeKind(kind) for kind in challenges(gateway, configuration.challenges)]
    connected = next((kind for kind in kinds if not kind.is_dns), None)
    public = [
        name
        for name in requested_authorities(gateway, configuration)
        if name in configuration.authorities and not may_issue_private_names(name, configuration)
    ]
    if connected is not None:
        what = (
            f"cannot be off with {connected}, for which the CA looks the names up and connects to"
            " this gateway; leave it out, or use dns-01"
        )
        yield Finding(where, what, (challenge,))
    elif public and not kinds:
        what = (
            f"cannot be off without dns-01: {', '.join(public)} validates every name; leave it out,"
            " configure challenges.dns-01, or name a CA that takes the names as validated"
        )
        depends: tuple[Location, ...] = (challenge, ("challenges",), (*here, "authorities"))
        yield Finding(where, what, (*depends, ("authorities",)))
    if gateway.ddns is not None:
        what = "cannot be off with ddns, which looks up what it publishes; leave one of them out"
        yield Finding(where, what, ((*here, "ddns"),))
