"""The timeline of a certificate: where its milestones are, and how it reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.fakes.gateway_statuses import BOOTSTRAP, BOSTON, DAY, EVERY_STATE, NOW, gateway

from gatecert.model import Mode
from gatecert.monitoring.timeline import Milestone, marks, timeline
from gatecert.report.gateway_status import Condition, GatewayStatus

NINETY = replace(
    BOSTON, not_before=NOW - 45 * DAY, not_after=NOW + 45 * DAY, next_at=NOW + 15 * DAY
)


def test_a_certificate_in_the_middle_of_its_life() -> None:
    line = timeline(NINETY, NOW)

    assert line is not None
    assert line.used == 50
    assert line.renews == pytest.approx(66.67, abs=0.01)
    assert line.end == "ends in 45 d"
    assert line.words == "issued 15 Oct, renews 14 Dec, ends 13 Jan"


def test_the_milestones_are_in_their_order() -> None:
    assert [(mark.kind, round(mark.position), mark.words) for mark in marks(NINETY, NOW)] == [
        (Milestone.ISSUED, 0, "issued 45 d ago, 15 Oct"),
        (Milestone.PROVEN, 50, "proven 3 h ago"),
        (Milestone.NOW, 50, "now"),
        (Milestone.RENEWS, 67, "renews in 15 d, 14 Dec"),
        (Milestone.ENDS, 100, "ends in 45 d, 13 Jan"),
    ]


def test_an_expired_certificate_ends_before_now() -> None:
    late = replace(NINETY, not_after=NOW - 5 * DAY, next_at=NOW, state=Condition.EXPIRED)
    line = timeline(late, NOW)

    assert line is not None
    assert (line.used, line.end) == (100, "ended")
    assert line.words.endswith("ended 24 Nov")
    found = {mark.kind: mark for mark in marks(late, NOW)}
    assert found[Milestone.ENDS].position == pytest.approx(88.9, abs=0.1)
    assert found[Milestone.ENDS].words == "ended 5 d ago, 24 Nov"
    assert found[Milestone.NOW].position == 100


def test_a_refused_proof_is_marked_as_such() -> None:
    found = {mark.kind: mark.words for mark in marks(replace(NINETY, served=False), NOW)}

    assert found[Milestone.UNSERVED] == "not served, seen 3 h ago"
    assert Milestone.PROVEN not in found


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": Mode.CUSTOM},
        {"next_at": None},
        {"next_action": "deploy: not served"},
        {"state": Condition.WAITING, **BOOTSTRAP},
    ],
)
def test_only_what_is_renewed_has_a_renewal(changes: dict[str, object]) -> None:
    line = timeline(gateway("one", **changes), NOW)  # type: ignore[arg-type] # fields that exist

    assert line is not None
    assert line.renews is None


def test_without_a_certificate_there_is_none() -> None:
    void = gateway("void", Condition.EMPTY, not_before=None, not_after=None)

    assert timeline(void, NOW) is None
    assert marks(void, NOW) == []


@pytest.mark.parametrize("one", EVERY_STATE, ids=lambda one: one.name)
@pytest.mark.parametrize("hours", [-24_000, -1, 0, 24 * 59, 24_000])
def test_every_position_is_on_the_line_whatever_the_clock_says(
    one: GatewayStatus, hours: int
) -> None:
    found = marks(one, NOW + timedelta(hours=hours))

    assert all(0 <= mark.position <= 100 for mark in found)
    assert [mark.position for mark in found] == sorted(mark.position for mark in found)


def test_a_certificate_without_a_lifetime_is_used_up() -> None:
    line = timeline(replace(NINETY, not_before=NOW, not_after=NOW), NOW)

    assert line is not None
    assert line.used == 100
