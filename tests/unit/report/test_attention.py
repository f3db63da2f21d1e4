"""The gateways that need a person, and what for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.fakes.gateway_statuses import (
    BOSTON,
    DAY,
    EVERY_STATE,
    FULL,
    HOUR,
    NOW,
    error,
    gateway,
)

from gatecert.model import Mode
from gatecert.report.attention import Level, advice, attempts, fact, level
from gatecert.report.gateway_status import Condition, GatewayStatus

BY_NAME = {one.name: one for one in EVERY_STATE}


def test_every_condition_has_a_level() -> None:
    levels = {name: level(one) for name, one in BY_NAME.items()}
    assert {name for name, one in levels.items() if one is Level.GOOD} == {
        "boston",
        "private",
        "lab",
    }
    assert {name for name, one in levels.items() if one is Level.NEUTRAL} == {
        "new",
        "pace",
        "beijing",
        "fresh",
    }
    assert {name for name, one in levels.items() if one is Level.WARNING} == {"lyon", "hq", "rome"}
    assert {one.state for one in EVERY_STATE} == set(Condition)


def test_whoever_needs_a_person_is_told_what_to_do() -> None:
    for one in EVERY_STATE:
        assert bool(advice(one)) is level(one).needs_a_person
        assert fact(one, NOW)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (BOSTON, "renews in 59 d, 27 Jan"),
        (gateway("a", next_at=NOW + HOUR), "renews in 1 h"),
        (gateway("a", next_at=NOW - DAY), "renews now"),
        (gateway("a", mode=Mode.CUSTOM, not_after=NOW + 400 * DAY), "expires in 400 d, 3 Jan 2028"),
        (
            gateway("a", failures=2, next_at=NOW + HOUR, last_error=error("acme", "CA says no")),
            "renewal failed 2 times, next attempt in 1 h, expires in 60 d, 28 Jan: CA says no",
        ),
        (
            gateway("a", last_error=error("caa-forbids", "CAA forbids ca.test")),
            "CAA forbids ca.test",
        ),
        (
            gateway("a", Condition.EXPIRED, not_after=NOW + DAY),
            "expired at 2026-11-30 10:30:00 UTC, later than this machine's clock",
        ),
        (FULL, attempts(FULL, NOW)),
        (
            replace(FULL, read_failures=2, read_error=error("storage", "no such disk")),
            "its status could not be read 2 times: no such disk",
        ),
    ],
)
def test_facts(one: GatewayStatus, words: str) -> None:
    assert fact(one, NOW).startswith(words)


def test_failed_attempts_need_a_person_even_if_the_reason_is_gone() -> None:
    assert level(gateway("a", failures=1)) is Level.WARNING
    assert advice(gateway("a", failures=1)) == "gatecert doctor a"


def test_what_passes_by_itself_needs_nobody() -> None:
    spent = error("budget-spent", "no more orders until 12:00", "no action needed; set limits")
    one = gateway("a", last_error=spent, failures=1, next_at=NOW + timedelta(minutes=5))
    assert level(one) is Level.GOOD
    assert advice(one) == ""
