"""Solvers for the configured challenge types."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gatecert.challenge.solvers import build_solvers, longest_propagation
from gatecert.config.schema import ChallengeSettings, ResolverSettings
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from pathlib import Path

EXEC = {"provider": "exec", "command": ["true"]}


@pytest.mark.parametrize(
    ("challenges", "kinds"),
    [
        ({}, {"http-01"}),
        ({"tls-alpn-01": {}}, {"http-01", "tls-alpn-01"}),
        ({"dns-01": EXEC}, {"http-01", "dns-01", "dns-account-01"}),
        ({"dns-persist-01": {}}, {"http-01", "dns-persist-01"}),
    ],
)
def test_there_is_a_solver_for_each_configured_type(
    tmp_path: Path, challenges: dict[str, object], kinds: set[str]
) -> None:
    state = tmp_path / "state"

    solvers = build_solvers(
        ChallengeSettings.model_validate(challenges),
        ResolverSettings(),
        FileStore(state),
        None,
        lambda: datetime.now(UTC),
    )

    assert solvers.keys() == kinds
    assert not state.exists()


def test_the_longest_propagation_is_that_of_dns_01() -> None:
    slow = {"dns-01": {**EXEC, "propagation_timeout": "30m"}}

    assert longest_propagation(ChallengeSettings.model_validate(slow)) == 1800
    assert longest_propagation(ChallengeSettings()) == 0
