"""Solvers for the configured challenge types."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from gatecert.challenge.http01 import Http01Solver
from gatecert.challenge.lazy_solver import LazySolver
from gatecert.challenge.tls_alpn01 import TlsAlpn01Solver
from gatecert.errors import StateError
from gatecert.store.protocol import RecordJournal, TokenStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gatecert.challenge.socket_activation import FetchNotices
    from gatecert.challenge.solver import Solver
    from gatecert.config.schema.challenge import (
        ChallengeSettings,
        Dns01Settings,
        DnsPersist01Settings,
        ResolverSettings,
    )

logger = logging.getLogger(__name__)


class ChallengeStore(TokenStore, RecordJournal, Protocol):
    """The parts of the store that solvers use."""


def longest_propagation(settings: ChallengeSettings) -> float:
    """Return how long a response may take to become visible to the authority, in seconds."""
    dns_01 = settings.dns_01
    return 0.0 if dns_01 is None else dns_01.propagation_timeout.total_seconds()


def build_solvers(
    settings: ChallengeSettings,
    resolver: ResolverSettings,
    store: ChallengeStore,
    activated: FetchNotices | None,
    now: Callable[[], datetime],
) -> dict[str, Solver]:
    """Build a solver for each configured challenge type, without using network or disk.

    Args:
        settings: The configured challenge types.
        resolver: Nameservers for finding the zone of a TXT record.
        store: Keeps responses while they are presented.
        activated: Answers http-01 on sockets from systemd; no other listener is opened then.
        now: The wall clock, aware UTC.
    """
    solvers: dict[str, Solver] = {"http-01": Http01Solver(settings.http_01, store, activated)}
    if settings.tls_alpn_01 is not None:
        solvers["tls-alpn-01"] = TlsAlpn01Solver(settings.tls_alpn_01, store)
    return solvers | dns_solvers(settings, resolver, store, now)


def dns_solvers(
    settings: ChallengeSettings,
    resolver: ResolverSettings,
    journal: RecordJournal,
    now: Callable[[], datetime],
) -> dict[str, Solver]:
    """Build a solver for each configured dns-* type; dnspython is imported at the first use.

    Args:
        settings: The configured challenge types.
        resolver: Nameservers for finding the zone of a TXT record.
        journal: Lists the records that have to be withdrawn.
        now: The wall clock, aware UTC.
    """
    solvers: dict[str, Solver] = {}
    dns_01, dns_persist_01 = settings.dns_01, settings.dns_persist_01
    if dns_01 is not None:
        solvers["dns-01"] = solvers["dns-account-01"] = LazySolver(
            lambda: _dns01(dns_01, resolver, journal, now), lambda: _has_leftovers(journal)
        )
    if dns_persist_01 is not None:
        solvers["dns-persist-01"] = LazySolver(lambda: _persist(dns_persist_01, resolver, now))
    return solvers


def _dns01(
    settings: Dns01Settings,
    resolver: ResolverSettings,
    journal: RecordJournal,
    now: Callable[[], datetime],
) -> Solver:
    from gatecert.challenge.dns01 import build  # noqa: PLC0415 - see LazySolver

    return build.build_dns01_solver(settings, resolver, journal, now)


def _persist(
    settings: DnsPersist01Settings, resolver: ResolverSettings, now: Callable[[], datetime]
) -> Solver:
    from gatecert.challenge.dns01 import build  # noqa: PLC0415 - see LazySolver

    return build.build_persist_solver(settings, resolver, now)


def _has_leftovers(journal: RecordJournal) -> bool:
    try:
        return any(published.abandoned for published in journal.records())
    except StateError as error:
        logger.warning("journal of records: %s", error)
        return False
