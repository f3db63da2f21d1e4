"""The solvers for TXT records, as the configuration has it; imports dnspython only when needed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gatecert.challenge.lazy_solver import LazySolver
from gatecert.config.schema.challenge import Propagation
from gatecert.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gatecert.challenge.dns01.provider import Provider
    from gatecert.challenge.dns01.zones import Zones
    from gatecert.challenge.solver import Solver
    from gatecert.config.schema.challenge import (
        ChallengeSettings,
        Dns01Settings,
        DnsPersist01Settings,
        ResolverSettings,
    )
    from gatecert.store.protocol import RecordJournal

logger = logging.getLogger(__name__)


def dns_solvers(
    settings: ChallengeSettings,
    resolver: ResolverSettings,
    journal: RecordJournal,
    now: Callable[[], datetime],
) -> dict[str, Solver]:
    """A solver for each dns-* type that is set up; touches neither network nor disk.

    Args:
        settings: What is set up.
        resolver: Who is asked where a record has to go.
        journal: Remembers what has to be withdrawn.
        now: The wall clock, aware UTC.
    """
    found: dict[str, Solver] = {}
    dns_01, dns_persist_01 = settings.dns_01, settings.dns_persist_01
    if dns_01 is not None:
        solver = LazySolver(
            lambda: _dns_01(dns_01, resolver, journal, now), lambda: _has_leftovers(journal)
        )
        found |= {"dns-01": solver, "dns-account-01": solver}
    if dns_persist_01 is not None:
        found["dns-persist-01"] = LazySolver(lambda: _dns_persist_01(dns_persist_01, resolver, now))
    return found


def _dns_01(
    settings: Dns01Settings,
    resolver: ResolverSettings,
    journal: RecordJournal,
    now: Callable[[], datetime],
) -> Solver:
    # Late: these import dnspython, see ``challenge.lazy_solver``.
    from gatecert.challenge.dns01.dns01_solver import Dns01Solver  # noqa: PLC0415
    from gatecert.challenge.dns01.zones import Zones  # noqa: PLC0415

    zones = Zones(
        resolver.nameservers,
        resolver.timeout,
        zone=settings.zone,
        authoritative=settings.authoritative,
        recursive=settings.propagation is Propagation.RECURSIVE,
        follow_aliases=settings.follow_aliases,
    )
    return Dns01Solver(settings, provider(settings, zones), zones, journal, now)


def _dns_persist_01(
    settings: DnsPersist01Settings, resolver: ResolverSettings, now: Callable[[], datetime]
) -> Solver:
    # Late: these import dnspython, see ``challenge.lazy_solver``.
    from gatecert.challenge.dns01.persist_solver import (  # noqa: PLC0415
        DnsPersist01Solver,
        PersistRecordChecker,
    )
    from gatecert.challenge.dns01.zones import Zones  # noqa: PLC0415

    zones = Zones(
        resolver.nameservers,
        resolver.timeout,
        authoritative=settings.authoritative,
        recursive=settings.propagation is Propagation.RECURSIVE,
    )
    return DnsPersist01Solver(PersistRecordChecker(zones, now))


def provider(settings: Dns01Settings, zones: Zones) -> Provider:
    """Who changes the zone; what it needs is looked at when it is first used."""
    # Late: only one of them is ever needed, and each brings libraries of its own.
    match settings.provider:
        case "rfc2136":
            from gatecert.challenge.dns01.rfc2136 import Rfc2136Provider  # noqa: PLC0415

            return Rfc2136Provider(settings, zones)
        case "exec":
            from gatecert.challenge.dns01.exec_provider import ExecProvider  # noqa: PLC0415

            return ExecProvider(settings)
        case _:
            from gatecert.challenge.dns01.lexicon import LexiconDnsProvider  # noqa: PLC0415

            return LexiconDnsProvider(settings)


def _has_leftovers(journal: RecordJournal) -> bool:
    try:
        return any(published.abandoned for published in journal.records())
    except StateError as error:
        logger.warning("journal of records: %s", error)
        return False
