"""Which challenge types can be answered, as the configuration has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.challenge.http01 import Http01Solver

if TYPE_CHECKING:
    from gatecert.challenge.activation import StandingResponder
    from gatecert.challenge.solver import Solver
    from gatecert.config.schema.challenge import ChallengeSettings
    from gatecert.store.protocol import TokenStore


def build_solvers(
    settings: ChallengeSettings, tokens: TokenStore, standing: StandingResponder | None = None
) -> dict[str, Solver]:
    """A solver for each challenge type that is set up; touches neither network nor disk.

    Args:
        settings: What is set up.
        tokens: Where responses are kept while they are presented.
        standing: Answers http-01 already, in place of listening.
    """
    return {"http-01": Http01Solver(settings.http_01, tokens, standing)}
