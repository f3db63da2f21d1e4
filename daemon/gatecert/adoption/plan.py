"""The plan of an adoption: what will be added to the configuration and to the state.

A plan is made before anything changes; ``--dry-run`` shows it. Certificates for which nothing is to
be done, or that cannot be adopted, are in it with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gatecert.adoption.adoptable import Adoptable, gateway_name, judge
from gatecert.adoption.authority_plan import AuthorityPlan, plan_authorities
from gatecert.adoption.challenge_plan import HTTP_01, ChallengePlan, plan_challenges
from gatecert.adoption.existing import Existing
from gatecert.adoption.found import FoundState, Refusal
from gatecert.adoption.gateway_plan import PlannedGateway, Rights, plan_gateway, with_listeners
from gatecert.config.extension import Additions
from gatecert.config.schema.authority import directory_url as parse_url
from gatecert.config.values import BadValueError
from gatecert.config.well_known import by_directory
from gatecert.errors import WrongUsageError, clean
from gatecert.setup.challenge_choice import SOCKET_UNIT
from gatecert.setup.host import HTTP

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from cryptography.x509 import Certificate

    from gatecert.model import Endpoint
    from gatecert.setup.host import Host


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate, and that of the other key algorithm for the same names if there is one."""

    first: Adoptable
    second: Adoptable | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The adoption of one client's certificates.

    Attributes:
        gateways: The certificates to adopt, with their gateways.
        refused: What cannot be adopted.
        notes: What the operator should know.
    """

    state: FoundState
    existing: Existing
    gateways: tuple[PlannedGateway, ...]
    authorities: AuthorityPlan
    challenges: ChallengePlan
    refused: tuple[Refusal, ...]
    notes: tuple[str, ...]

    @property
    def additions(self) -> Additions:
        """The entries that are added to the configuration."""
        new = {each.name: each.settings for each in self.gateways if each.is_new}
        if not new:
            return Additions({})
        used = {each.authority for each in self.gateways if each.is_new}
        authorities = {
            name: entry for name, entry in self.authorities.entries.items() if name in used
        }
        return Additions(new, authorities, self.challenges.entries)

    @property
    def can_rehearse(self) -> bool:
        """True if every CA is known to have a staging directory."""
        found = [by_directory(url) for url in self.authorities.names]
        return bool(found) and all(ca is not None and ca.staging_directory_url for ca in found)

    def port_note(self, host: Host) -> str:
        """Say that gatecert cannot listen where http-01 is validated; empty if it can.

        Args:
            host: The host, with its listening sockets.
        """
        settings = self.challenges.entries.get(HTTP_01, {})
        needed = [each for each in self.gateways if each.is_new and each.uses_http_01]
        if settings or self.existing.http_01 or not needed:
            return ""
        holders = [name for name in host.holders(HTTP) if name != SOCKET_UNIT]
        if not holders:
            return ""
        return (
            f"port {HTTP} is used by {', '.join(holders)}, so gatecert cannot answer http-01 there:"
            " set challenges.http-01.webroot to a directory that it serves, or let it forward the"
            " requests (docs/challenges.md)"
        )

    @property
    def webroot(self) -> Path | None:
        """The webroot that is new in the configuration; None if there is none."""
        settings = self.challenges.entries.get(HTTP_01, {})
        return Path(str(settings["webroot"])) if "webroot" in settings else None

    def with_listeners(
        self,
        found: Mapping[str, Sequence[Endpoint]],
        units: Callable[[Sequence[Endpoint]], Sequence[str]],
        rights: Rights,
    ) -> Plan:
        """Return the plan with the listeners that serve each certificate.

        Args:
            found: The listeners by the fingerprint of the certificate.
            units: Returns the systemd units of the servers at listeners.
            rights: What the daemon may do.
        """
        gateways = []
        for each in self.gateways:
            listeners = found.get(each.adoptable.fingerprint, ())
            gateways.append(with_listeners(each, listeners, units(listeners), rights))
        return replace(self, gateways=tuple(gateways))


def make_plan(  # noqa: PLR0913 - pure: every input is a parameter
    state: FoundState,
    existing: Existing,
    *,
    now: datetime,
    roots: Sequence[Certificate],
    rights: Rights,
    directory_url: str = "",
) -> Plan:
    """Plan the adoption of a client's certificates.

    Args:
        state: What was found.
        existing: What is configured already.
        now: Aware UTC.
        roots: The roots that this machine trusts.
        rights: What the daemon may do.
        directory_url: The directory of the CA where the client does not record it.

    Raises:
        WrongUsageError: ``directory_url`` is not a URL of an ACME directory.
    """
    state = _with_directory(state, directory_url)
    refused = list(state.refused)
    adoptables: list[Adoptable] = []
    for found in state.certificates:
        judged = _without_directory(found.name, found.directory_url, state, found.server) or judge(
            found, state.client, now=now, roots=roots
        )
        (adoptables if isinstance(judged, Adoptable) else refused).append(judged)  # type: ignore[arg-type]  # by its type
    pairs, duplicates = _paired(adoptables)
    known, new = _divided(pairs, existing, refused)
    challenges = plan_challenges([each.first for each in new], existing)
    hopeless = {each.name for each in challenges.refused}
    new = [each for each in new if clean(each.first.found.name) not in hopeless]
    refused += [*duplicates, *challenges.refused]
    authorities = plan_authorities(state, [each.first for each in (*known, *new)], existing)
    gateways = [
        *_known_gateways(known, authorities, existing),
        *_new_gateways(new, authorities, challenges, existing, rights),
    ]
    order = {each.name: number for number, each in enumerate(state.certificates)}
    gateways.sort(key=lambda each: order[each.adoptable.found.name])
    notes = (*state.notes, *authorities.notes, *_failover_note(authorities, existing))
    return Plan(state, existing, tuple(gateways), authorities, challenges, tuple(refused), notes)


def _with_directory(state: FoundState, url: str) -> FoundState:
    """Enter the directory of the CA where it is not recorded."""
    if not url:
        return state
    try:
        parsed = parse_url(url)
    except BadValueError as error:
        raise WrongUsageError(f"--directory-url {error}") from error
    return replace(
        state,
        accounts=tuple(
            each if each.directory_url else replace(each, directory_url=parsed)
            for each in state.accounts
        ),
        certificates=tuple(
            each if each.directory_url else replace(each, directory_url=parsed)
            for each in state.certificates
        ),
    )


def _without_directory(name: str, url: str, state: FoundState, server: str) -> Refusal | None:
    """Return why a certificate's CA cannot be used; None if it can."""
    if not url:
        where = f" of {clean(server)}" if server else ""
        return Refusal(
            clean(name),
            f"{state.client} does not record the ACME directory{where}",
            "name it: --directory-url https://HOST/PATH",
        )
    try:
        parse_url(url)
    except BadValueError as error:
        return Refusal(clean(name), f"its CA's directory {error}")
    return None


def _paired(adoptables: Sequence[Adoptable]) -> tuple[list[Pair], list[Refusal]]:
    """Put certificates of two key algorithms for the same names together; refuse duplicates."""
    pairs: dict[str, Pair] = {}
    refused: list[Refusal] = []
    latest_first = sorted(adoptables, key=lambda each: each.not_after, reverse=True)
    for each in latest_first:
        known = pairs.get(each.hostname)
        if known is None:
            pairs[each.hostname] = Pair(each)
        elif known.second is None and _fits(known.first, each):
            first, second = sorted((known.first, each), key=lambda one: one.algorithm)
            pairs[each.hostname] = Pair(first, second)
        else:
            other = clean(known.first.found.name)
            refused.append(
                Refusal(
                    clean(each.found.name),
                    f"{each.hostname} is the hostname of {other} as well, whose certificate ends"
                    " later, and a hostname belongs to one gateway",
                    "remove the one that is not needed, or add a gateway with another of its names",
                )
            )
    order = {each.found.name: number for number, each in enumerate(adoptables)}
    return sorted(pairs.values(), key=lambda each: order[each.first.found.name]), refused


def _fits(one: Adoptable, other: Adoptable) -> bool:
    return (
        one.algorithm != other.algorithm
        and set(one.identifiers) == set(other.identifiers)
        and one.key_type is not None
        and other.key_type is not None
        and one.found.directory_url == other.found.directory_url
    )


def _divided(
    pairs: Sequence[Pair], existing: Existing, refused: list[Refusal]
) -> tuple[list[Pair], list[Pair]]:
    """Return the certificates whose gateways are configured already, and the others."""
    known, new = [], []
    for each in pairs:
        name = existing.gateway_of(each.first.hostname)
        if not name:
            new.append(each)
        elif name in existing.custom:
            refused.append(
                Refusal(
                    clean(each.first.found.name),
                    f"gateway {name} has mode: custom in {existing.path}",
                    f"set mode: automatic, or import it: gatecert import {name}",
                )
            )
        else:
            known.append(each)
    return known, new


def _known_gateways(
    pairs: Sequence[Pair], authorities: AuthorityPlan, existing: Existing
) -> list[PlannedGateway]:
    """Plan the certificates whose gateways are configured already."""
    return [
        PlannedGateway(
            existing.gateway_of(each.first.hostname),
            each.first,
            authorities.names[each.first.found.directory_url],
            is_new=False,
            files={path: name for name, path in each.first.found.files.items()},
        )
        for each in pairs
    ]


def _new_gateways(
    pairs: Sequence[Pair],
    authorities: AuthorityPlan,
    challenges: ChallengePlan,
    existing: Existing,
    rights: Rights,
) -> list[PlannedGateway]:
    """Plan the certificates whose gateways are new."""
    taken = {*existing.gateways}
    several = len({*existing.authorities, *authorities.names.values()}) > 1
    gateways = []
    for each in pairs:
        name = gateway_name(each.first, taken)
        taken.add(name)
        planned = plan_gateway(
            name,
            each.first,
            each.second,
            authority=authorities.names[each.first.found.directory_url],
            challenge=challenges.kinds.get(each.first.found.name, ""),
            names_authority=several,
            notes=challenges.notes.get(each.first.found.name, ()),
            rights=rights,
        )
        gateways.append(planned)
    return gateways


def _failover_note(authorities: AuthorityPlan, existing: Existing) -> tuple[str, ...]:
    """Return a note where gateways that are configured get another CA to try."""
    if not (existing.gateways and authorities.entries):
        return ()
    names = ", ".join(authorities.entries)
    return (
        f"gateways in {existing.path} that name no authorities may use {names} as well from now on",
    )
