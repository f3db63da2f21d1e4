"""Builders of the solvers for TXT records.

This module imports dnspython; ``challenge.solvers`` therefore imports it at the first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.challenge.dns01.dns01_solver import Dns01Solver
from gatecert.challenge.dns01.exec_provider import ExecProvider
from gatecert.challenge.dns01.lexicon_provider import DUCKDNS, LexiconDnsProvider
from gatecert.challenge.dns01.persist_solver import DnsPersist01Solver, PersistRecordChecker
from gatecert.challenge.dns01.rfc2136_provider import Rfc2136Provider
from gatecert.challenge.dns01.zones import Zones
from gatecert.config.schema.challenge import Propagation

DUCKDNS_ZONE = "duckdns.org"

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gatecert.challenge.dns01.provider import Provider
    from gatecert.config.schema import (
        Dns01Settings,
        DnsPersist01Settings,
        DnsProviderSettings,
        ResolverSettings,
    )
    from gatecert.store.protocol import RecordJournal


def build_dns01_solver(
    settings: Dns01Settings,
    resolver: ResolverSettings,
    journal: RecordJournal,
    now: Callable[[], datetime],
) -> Dns01Solver:
    """Build the solver for dns-01 and dns-account-01."""
    zones = Zones(
        resolver.nameservers,
        resolver.timeout,
        zone=known_zone(settings),
        authoritative=settings.authoritative,
        recursive=settings.propagation is Propagation.RECURSIVE,
        follow_aliases=settings.follow_aliases,
    )
    return Dns01Solver(settings, build_provider(settings, zones), zones, journal, now)


def build_persist_solver(
    settings: DnsPersist01Settings, resolver: ResolverSettings, now: Callable[[], datetime]
) -> DnsPersist01Solver:
    """Build the solver for dns-persist-01."""
    zones = Zones(
        resolver.nameservers,
        resolver.timeout,
        authoritative=settings.authoritative,
        recursive=settings.propagation is Propagation.RECURSIVE,
    )
    return DnsPersist01Solver(PersistRecordChecker(zones, now))


def known_zone(settings: DnsProviderSettings) -> str | None:
    """Return the zone that need not be looked up; None if it has to be.

    DuckDNS is one zone for all its customers, whose nameservers do not answer every SOA query.
    """
    return DUCKDNS_ZONE if settings.provider.lower() == DUCKDNS else settings.zone


def build_provider(settings: Dns01Settings, zones: Zones) -> Provider:
    """Build the configured DNS provider; it checks its requirements when it is first used."""
    match settings.provider:
        case "rfc2136":
            return Rfc2136Provider(settings, zones)
        case "exec":
            return ExecProvider(settings)
        case _:
            return LexiconDnsProvider(settings)
