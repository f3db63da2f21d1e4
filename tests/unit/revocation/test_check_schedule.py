"""When revocation is looked for, and what is known of which certificate."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest
from tests.unit.schedule.test_due import DAY, HOUR, MINUTE, NOW, certificate, situation

from gatecert.model import Action, GatewayState, RevocationReason, RevocationState
from gatecert.revocation.check_schedule import (
    FIRST_INTERVAL,
    MAX_INTERVAL,
    MIN_INTERVAL,
    first_check,
    is_due,
    is_final,
    must_change_key,
    next_check,
    revocation_state_of,
    revoked_state_of,
)
from gatecert.schedule.due import next_due

if TYPE_CHECKING:
    from datetime import timedelta

LIVE = certificate()
FINE = RevocationState(LIVE.fingerprint, NOW + HOUR, checked=NOW)
REVOKED = replace(FINE, revoked=NOW - DAY, reason=RevocationReason.SUPERSEDED)


def state(revocation_state: RevocationState | None) -> GatewayState:
    return GatewayState(revocation=revocation_state)


def test_what_is_known_is_known_of_one_certificate() -> None:
    assert revocation_state_of(state(FINE), LIVE) == FINE
    assert revocation_state_of(state(FINE), replace(LIVE, fingerprint="other")) is None
    assert revocation_state_of(state(FINE), None) is None
    assert revocation_state_of(state(None), LIVE) is None


def test_a_certificate_is_revoked_only_if_it_was() -> None:
    assert revoked_state_of(state(REVOKED), LIVE) == REVOKED
    assert revoked_state_of(state(FINE), LIVE) is None
    assert revoked_state_of(state(None), LIVE) is None


def test_a_key_is_given_up_only_where_it_has_to_be() -> None:
    assert must_change_key(state(replace(REVOKED, new_key=True)), LIVE)
    assert not must_change_key(state(REVOKED), LIVE)
    assert not must_change_key(state(replace(FINE, new_key=True)), LIVE)


def test_a_revoked_certificate_is_replaced_at_once() -> None:
    due = next_due(situation(LIVE, state=state(REVOKED)), NOW)
    assert (due.action, due.at) == (Action.ENROL, NOW)
    assert due.reason == "the certificate was revoked on 2026-11-22 12:00:00 UTC (superseded)"
    assert next_due(situation(LIVE, state=state(FINE)), NOW).at > NOW


def test_attempts_to_replace_it_are_held_back_as_others_are() -> None:
    failed = replace(state(REVOKED), failures=1, failed_at=NOW, next_attempt=NOW + MINUTE)
    assert next_due(situation(LIVE, state=failed), NOW).at == NOW + MINUTE


def test_what_is_only_held_is_looked_at_again() -> None:
    assert is_final(REVOKED)
    assert not is_final(replace(REVOKED, reason=RevocationReason.CERTIFICATE_HOLD))
    assert not is_final(FINE)


def test_looks_have_their_time_unless_the_clock_was_set_back() -> None:
    assert not is_due(FINE, NOW)
    assert is_due(FINE, NOW + HOUR)
    assert is_due(FINE, NOW - DAY)


@pytest.mark.parametrize("seed", range(20))
def test_a_look_comes_every_few_hours_at_a_random_moment(seed: int) -> None:
    at = next_check(NOW, Random(seed))
    assert MIN_INTERVAL <= at - NOW <= MAX_INTERVAL
    assert at != next_check(NOW, Random(seed + 100))
    assert NOW <= first_check(NOW, Random(seed)) <= NOW + FIRST_INTERVAL


def test_a_list_that_ends_sooner_is_looked_at_sooner_but_not_all_the_time() -> None:
    def wait(ends: timedelta) -> timedelta:
        return next_check(NOW, Random(1), ends=NOW + ends) - NOW

    assert wait(2 * HOUR) == 2 * HOUR
    assert wait(MINUTE) == HOUR
    assert wait(-MINUTE) >= MIN_INTERVAL
    assert wait(DAY) >= MIN_INTERVAL


def test_what_told_nothing_is_looked_at_after_one_hour_two_four() -> None:
    waits = [next_check(NOW, Random(1), failures=count) - NOW for count in (1, 2, 3, 50)]
    assert 0.8 * HOUR <= waits[0] <= 1.2 * HOUR
    assert 1.6 * HOUR <= waits[1] <= 2.4 * HOUR
    assert waits[1] < waits[2] <= MAX_INTERVAL
    assert MIN_INTERVAL <= waits[3] <= MAX_INTERVAL
