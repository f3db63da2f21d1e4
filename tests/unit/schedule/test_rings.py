"""Tests of whether a host has to wait before it installs a new generation."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.clock import DAY, HOUR, NOW

from gatecert.model import CertificateSummary, HostReport, RollOut
from gatecert.model.fleet import FleetHalt
from gatecert.schedule.rings import LONGEST_WAIT, roll_out_wait

SERVED = CertificateSummary(
    subject="",
    issuer="",
    identifiers=(),
    not_before=NOW - 60 * DAY,
    not_after=NOW + 30 * DAY,
    fingerprint="f",
    chain_fingerprints=(),
    key_fingerprint="k",
    is_bootstrap=False,
    certificate_id="",
)
A = HostReport("gw-a", ring=1, is_live=True, is_passed=False)
B = HostReport("gw-b", ring=1, is_live=True, is_passed=True)
C = HostReport("gw-c", ring=2, is_live=True, is_passed=False)
REFUSED = replace(A, roll_back="nginx refuses it")
BRAKE = FleetHalt(brake_since=NOW - HOUR, brake_reason="3 of 40 were rolled back")
PAUSE = FleetHalt(paused_since=NOW - HOUR, pause_reason="the CA is down")


def roll_out(
    *others: HostReport,
    ring: int = 2,
    written: datetime = NOW - HOUR,
    halt: FleetHalt | None = None,
) -> RollOut:
    return RollOut(13, written, is_urgent=False, ring=ring, others=others, halt=halt or FleetHalt())


@pytest.mark.parametrize(
    "turn",
    [
        roll_out(),
        roll_out(A, ring=1),
        roll_out(A, B, C, ring=1),
        roll_out(B),
        roll_out(B, C),
        roll_out(B, replace(A, is_live=False)),
        roll_out(replace(B, is_live=False)),
        roll_out(B, replace(C, is_passed=True), ring=3),
        roll_out(A, written=NOW - LONGEST_WAIT),
        replace(roll_out(A, REFUSED, halt=BRAKE), is_urgent=True),
    ],
)
def test_a_host_installs_when_its_turn_has_come(turn: RollOut) -> None:
    assert roll_out_wait(turn, SERVED, NOW) is None


@pytest.mark.parametrize(
    ("turn", "reason"),
    [
        (roll_out(A, B, C), "waits for ring 1: gw-a has not proven it yet"),
        (roll_out(B, C, ring=3), "waits for ring 2: gw-c has not proven it yet"),
        (roll_out(A, C, ring=3), "waits for ring 1: gw-a has not proven it yet"),
        (roll_out(replace(A, is_live=False)), "waits for ring 1: gw-a is silent"),
        (roll_out(REFUSED, B), "is not installed here yet: gw-a rolled it back: nginx refuses it"),
        (
            roll_out(replace(C, roll_back="no"), ring=1),
            "is not installed here yet: gw-c rolled it back: no",
        ),
        (
            roll_out(B, halt=BRAKE),
            (
                "is not installed here yet: the brake of the fleet is on since 2026-11-23 07:15:00"
                " UTC: 3 of 40 were rolled back"
            ),
        ),
        (
            roll_out(B, ring=1, halt=PAUSE),
            (
                "is not installed here yet: the fleet is paused since 2026-11-23 07:15:00 UTC:"
                " the CA is down"
            ),
        ),
    ],
)
def test_a_host_that_waits_says_for_what(turn: RollOut, reason: str) -> None:
    wait = roll_out_wait(turn, SERVED, NOW)
    assert wait is not None
    assert wait.reason == f"generation 13 {reason}"


@pytest.mark.parametrize("earlier", [A, replace(A, is_live=False)])
def test_earlier_rings_are_waited_for_for_a_day(earlier: HostReport) -> None:
    wait = roll_out_wait(roll_out(earlier), SERVED, NOW)
    assert wait is not None
    assert wait.until == NOW - HOUR + LONGEST_WAIT
    assert roll_out_wait(roll_out(earlier), SERVED, wait.until) is None


def test_no_ring_is_waited_for_with_under_a_tenth_of_the_lifetime_left() -> None:
    ends = replace(SERVED, not_before=NOW - 81 * DAY + HOUR, not_after=NOW + 9 * DAY + HOUR)
    wait = roll_out_wait(roll_out(A), ends, NOW)
    assert wait is not None
    assert wait.until == NOW + HOUR
    assert roll_out_wait(roll_out(A), ends, wait.until) is None


@pytest.mark.parametrize(
    "turn", [roll_out(B, halt=BRAKE), roll_out(B, halt=PAUSE), roll_out(REFUSED)]
)
def test_what_ends_within_a_day_goes_on(turn: RollOut) -> None:
    later = replace(turn, written=NOW - 29 * DAY)
    assert roll_out_wait(later, SERVED, SERVED.not_after - DAY - HOUR) is not None
    assert roll_out_wait(later, SERVED, SERVED.not_after - DAY) is None


reports = st.builds(
    HostReport,
    host=st.sampled_from(("gw-a", "gw-b", "gw-c")),
    ring=st.integers(1, 3),
    is_live=st.booleans(),
    is_passed=st.booleans(),
    roll_back=st.sampled_from(("", "", "", "refused")),
)
halts = st.sampled_from((FleetHalt(), FleetHalt(), BRAKE, PAUSE))


@given(
    others=st.lists(reports).map(tuple),
    ring=st.integers(1, 3),
    age=st.timedeltas(timedelta(0), 2 * DAY),
    halt=halts,
    left=st.timedeltas(-DAY, 80 * DAY),
)
def test_every_wait_ends_by_itself(
    others: tuple[HostReport, ...], ring: int, age: timedelta, halt: FleetHalt, left: timedelta
) -> None:
    """However others fare, a certificate that ends is replaced."""
    served, now = replace(SERVED, not_after=NOW + left), NOW
    turn = roll_out(*others, ring=ring, written=NOW - age, halt=halt)
    for _ in range(4):  # at most one wait for each rule
        wait = roll_out_wait(turn, served, now)
        if wait is None:
            return
        assert now < wait.until < served.not_after
        now = wait.until
    raise AssertionError("it waits without end")
