"""Urgency of a gateway's next order, as the other hosts are told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, MINUTE, START
from tests.fakes.shared_world import SharedWorld

from gatecert.errors import OrderHeldError
from gatecert.model import Mode, OutcomeKind
from gatecert.model.fleet import Priority, Urgency

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shared(tmp_path: Path) -> SharedWorld:
    return SharedWorld(tmp_path)


def test_the_urgency_is_told_before_an_order_and_the_next_one_after_it(shared: SharedWorld) -> None:
    before: list[int] = []
    shared.authority.during_order = lambda: before.append(len(shared.store.schedules))
    assert shared.attend(accept_untrusted=True).kind is OutcomeKind.ENROLLED
    assert before == [1]
    first, last = shared.store.schedules
    assert first == ("vpn", Urgency(Priority.NONE), START)
    name, urgency, due = last
    assert (name, urgency.priority) == ("vpn", Priority.RENEWAL)
    assert urgency.not_after == shared.live.not_valid_after_utc
    assert due is not None
    assert START + DAY < due < shared.live.not_valid_after_utc


def test_what_keeps_this_host_alone_from_ordering_is_left_out(shared: SharedWorld) -> None:
    shared.authority.trouble = OrderHeldError("waits", until=START + 5 * MINUTE)
    assert shared.attend().next_at == START + 5 * MINUTE
    shared.later(MINUTE)
    shared.attend()
    assert shared.store.schedules[-1] == ("vpn", Urgency(Priority.NONE), START + MINUTE)


def test_an_excluded_region_has_no_order(shared: SharedWorld) -> None:
    shared.target = replace(shared.target, region="cn")
    assert shared.attend().kind is OutcomeKind.SKIPPED
    assert shared.store.schedules == [("vpn", Urgency(Priority.NONE), None)]


def test_without_the_database_and_for_imported_certificates_nothing_is_told(
    shared: SharedWorld,
) -> None:
    shared.store.is_away = True
    assert shared.attend().code == "database-away"
    shared.store.is_away = False
    shared.target = replace(shared.target, mode=Mode.CUSTOM)
    assert not shared.attend().failed
    assert shared.store.schedules == []
