"""The history of outcomes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gatecert.model import Outcome, OutcomeKind, PastOutcome, with_outcome
from gatecert.model.outcome import LONGEST_PAST_DETAIL, MOST_PAST_OUTCOMES

NOW = datetime(2026, 11, 29, 10, 30, tzinfo=UTC)
FAILED = Outcome("vpn", NOW, OutcomeKind.FAILED, "refused", code="acme", fix="do this")
HOUR = timedelta(hours=1)


def test_the_first_outcome_begins_a_history() -> None:
    assert with_outcome((), FAILED) == (
        PastOutcome(NOW, OutcomeKind.FAILED, "refused", "acme", since=NOW),
    )


def test_the_same_again_is_counted_and_keeps_its_begin() -> None:
    history: tuple[PastOutcome, ...] = ()
    for hours in range(3):
        history = with_outcome(history, replace(FAILED, at=NOW + hours * HOUR))
    (only,) = history
    assert (only.times, only.since, only.at) == (3, NOW, NOW + 2 * HOUR)


def test_another_outcome_comes_first() -> None:
    renewed = replace(FAILED, at=NOW + HOUR, kind=OutcomeKind.RENEWED, detail="", code="")
    for other in (renewed, replace(FAILED, detail="later"), replace(FAILED, code="network")):
        latest, earlier = with_outcome(with_outcome((), FAILED), other)
        assert (latest.kind, latest.detail, latest.code) == (other.kind, other.detail, other.code)
        assert earlier.detail == "refused"
        assert latest.times == earlier.times == 1


def test_a_history_and_its_texts_are_bounded() -> None:
    history: tuple[PastOutcome, ...] = ()
    for number in range(3 * MOST_PAST_OUTCOMES):
        history = with_outcome(history, replace(FAILED, detail=f"{number} " + "x" * 10_000))
    assert len(history) == MOST_PAST_OUTCOMES
    assert history[0].detail.startswith(f"{3 * MOST_PAST_OUTCOMES - 1} ")
    assert {len(each.detail) for each in history} == {LONGEST_PAST_DETAIL}


def test_a_long_text_is_the_same_one_again() -> None:
    long = replace(FAILED, detail="y" * 10_000)
    (only,) = with_outcome(with_outcome((), long), long)
    assert only.times == 2
