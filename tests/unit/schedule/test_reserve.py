"""Tests of whether a host may place its reserved order without the database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, HOUR, NOW

from gatecert.model import CertificateSummary, DatabaseProblem
from gatecert.schedule.reserve import may_be_used

if TYPE_CHECKING:
    from datetime import timedelta

CERTIFICATE = CertificateSummary(
    subject="",
    issuer="",
    identifiers=(),
    not_before=NOW - 81 * DAY,
    not_after=NOW + 9 * DAY,
    fingerprint="f",
    chain_fingerprints=(),
    key_fingerprint="k",
    is_bootstrap=False,
    certificate_id="",
)
AWAY = DatabaseProblem(NOW - 24 * HOUR, "database-away", "no server answers", "start it")


@pytest.mark.parametrize("away_for", [24 * HOUR, 25 * HOUR, 30 * DAY])
@pytest.mark.parametrize("left", [9 * DAY, HOUR, -HOUR])
def test_it_may_be_used_in_the_end(away_for: timedelta, left: timedelta) -> None:
    problem = replace(AWAY, since=NOW - away_for)
    begin, end = NOW + left - 90 * DAY, NOW + left
    assert may_be_used(problem, replace(CERTIFICATE, not_before=begin, not_after=end), NOW)


@pytest.mark.parametrize(
    ("problem", "left"),
    [
        (None, 9 * DAY),
        (replace(AWAY, since=None), HOUR),
        (replace(AWAY, since=NOW - 24 * HOUR + HOUR / 60), 9 * DAY),
        (replace(AWAY, since=NOW + 2 * DAY), 9 * DAY),
        (AWAY, 9 * DAY + HOUR),
        (replace(AWAY, code="login-refused"), HOUR),
        (replace(AWAY, code="commit-unknown"), HOUR),
    ],
    ids=[
        "no problem",
        "unknown since when",
        "too short",
        "clock set back",
        "a tenth left",
        "refused",
        "it answers",
    ],
)
def test_it_waits_otherwise(problem: DatabaseProblem | None, left: timedelta) -> None:
    begin, end = NOW + left - 90 * DAY, NOW + left
    certificate = replace(CERTIFICATE, not_before=begin, not_after=end)
    assert not may_be_used(problem, certificate, NOW)
