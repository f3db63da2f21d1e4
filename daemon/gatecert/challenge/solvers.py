"""Which challenge types can be answered, as the configuration has it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from gatecert.challenge.dns01.build import dns_solvers
from gatecert.challenge.http01 import Http01Solver
from gatecert.challenge.tls_alpn01 import TlsAlpn01Solver
from gatecert.store.protocol import RecordJournal, TokenStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatecert.challenge.socket_activation import SocketActivatedResponder
    from gatecert.challenge.solver import Solver
    from gatecert.config.schema.challenge import ChallengeSettings, ResolverSettings


class ChallengeStore(TokenStore, RecordJournal, Protocol):
    """What solvers keep on disk."""


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def longest_propagation(settings: ChallengeSettings) -> float:
    """Seconds that a response may take until it can be seen, before the authority is told."""
    dns_01 = settings.dns_01
    return 0.0 if dns_01 is None else dns_01.propagation_timeout.total_seconds()


def build_solvers(
    settings: ChallengeSettings,
    resolver: ResolverSettings,
    store: ChallengeStore,
    standing: SocketActivatedResponder | None = None,
    now: Callable[[], datetime] = utc_now,
) -> dict[str, Solver]:
    """A solver for each challenge type that is set up; touches neither network nor disk.

    Args:
        settings: What is set up.
        resolver: Who is asked where a TXT record has to go.
        store: Where responses are kept while they are presented.
        standing: Answers http-01 already, in place of listening.
        now: The wall clock, aware UTC.
    """
    solvers: dict[str, Solver] = {"http-01": Http01Solver(settings.http_01, store, standing)}
    if settings.tls_alpn_01 is not None:
        solvers["tls-alpn-01"] = TlsAlpn01Solver(settings.tls_alpn_01, store)
    return solvers | dns_solvers(settings, resolver, store, now)
