"""Tests of the schedule of revocation checks."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest
from tests.unit.schedule.test_due import DAY, HOUR, MINUTE, NOW, certificate, situation

from gatecert.model import Action, EnrolmentState, GatewayState, RevocationReason, RevocationState
from gatecert.revocation.check_schedule import (
    FIRST_INTERVAL,
    MAX_INTERVAL,
    MIN_INTERVAL,
    first_check,
    is_due,
    must_change_key,
    next_check,
    revoked_state_of,
)
from gatecert.schedule.due import next_due

if TYPE_CHECKING:
    from datetime import timedelta

LIVE = certificate()
FINE = RevocationState(LIVE.fingerprint, NOW + HOUR, checked=NOW)
REVOKED = replace(FINE, revoked=NOW - DAY, reason=RevocationReason.SUPERSEDED)


def enrolment(revocation_state: RevocationState | None) -> EnrolmentState:
    return EnrolmentState(revocation=revocation_state)


def test_only_a_revoked_certificate_has_a_revoked_state() -> None:
    assert revoked_state_of(enrolment(REVOKED), LIVE) == REVOKED
    assert revoked_state_of(enrolment(FINE), LIVE) is None
    assert revoked_state_of(enrolment(None), LIVE) is None


def test_the_key_changes_only_if_necessary() -> None:
    assert must_change_key(enrolment(replace(REVOKED, new_key=True)), LIVE)
    assert not must_change_key(enrolment(REVOKED), LIVE)
    assert not must_change_key(enrolment(replace(FINE, new_key=True)), LIVE)


def test_a_revoked_certificate_is_replaced_at_once() -> None:
    due = next_due(situation(LIVE, state=GatewayState(enrolment(REVOKED))), NOW)
    assert (due.action, due.at) == (Action.ENROL, NOW)
    assert due.reason == "the certificate was revoked on 2026-11-22 12:00:00 UTC (superseded)"
    assert next_due(situation(LIVE, state=GatewayState(enrolment(FINE))), NOW).at > NOW


def test_replacing_a_revoked_certificate_observes_not_before() -> None:
    failed = replace(enrolment(REVOKED), failures=1, failed_at=NOW, next_attempt=NOW + MINUTE)
    assert next_due(situation(LIVE, state=GatewayState(failed)), NOW).at == NOW + MINUTE


def test_a_certificate_on_hold_is_checked_again() -> None:
    assert REVOKED.is_final
    assert not replace(REVOKED, reason=RevocationReason.CERTIFICATE_HOLD).is_final
    assert not FINE.is_final


def test_checks_are_due_at_their_time_or_after_a_clock_change() -> None:
    assert not is_due(FINE, NOW)
    assert is_due(FINE, NOW + HOUR)
    assert is_due(FINE, NOW - DAY)


@pytest.mark.parametrize("seed", range(20))
def test_checks_are_a_random_few_hours_apart(seed: int) -> None:
    at = next_check(NOW, Random(seed))
    assert MIN_INTERVAL <= at - NOW <= MAX_INTERVAL
    assert at != next_check(NOW, Random(seed + 100))
    assert NOW <= first_check(NOW, Random(seed)) <= NOW + FIRST_INTERVAL


def test_a_crl_that_expires_sooner_is_checked_sooner() -> None:
    def wait(ends: timedelta) -> timedelta:
        return next_check(NOW, Random(1), ends=NOW + ends) - NOW

    assert 2 * HOUR <= wait(2 * HOUR) <= 2.4 * HOUR
    assert HOUR <= wait(MINUTE) <= 1.2 * HOUR
    assert wait(-MINUTE) >= MIN_INTERVAL
    assert wait(DAY) >= MIN_INTERVAL


def test_failed_checks_are_repeated_after_one_two_four_hours() -> None:
    waits = [next_check(NOW, Random(1), failures=count) - NOW for count in (1, 2, 3, 50)]
    assert 0.8 * HOUR <= waits[0] <= 1.2 * HOUR
    assert 1.6 * HOUR <= waits[1] <= 2.4 * HOUR
    assert waits[1] < waits[2] <= MAX_INTERVAL
    assert MIN_INTERVAL <= waits[3] <= MAX_INTERVAL
