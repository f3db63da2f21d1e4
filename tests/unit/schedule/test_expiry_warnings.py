"""Warnings before the end of an imported certificate, without a clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatecert.model import (
    Action,
    CertificateSummary,
    Deployment,
    ExpiryNotice,
    GatewayState,
    HostState,
    Identifier,
    IdentifierType,
    Mode,
    Target,
)
from gatecert.schedule.due import Situation, next_due
from gatecert.schedule.expiry_warnings import (
    THRESHOLDS,
    due_expiry_warning,
    expiry_warning,
    next_expiry_warning,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NAME = Identifier(IdentifierType.DNS, "vpn.example.com")
TARGET = Target("hq", (NAME,), "vpn.example.com", mode=Mode.CUSTOM)
NOTHING = GatewayState()
LIVE = CertificateSummary(
    subject="",
    issuer="",
    identifiers=(NAME,),
    not_before=NOW - 300 * DAY,
    not_after=NOW,
    fingerprint="f",
    chain_fingerprints=(),
    key_fingerprint="k",
    is_bootstrap=False,
    certificate_id="",
)


def left(days: float) -> CertificateSummary:
    return replace(LIVE, not_after=NOW + days * DAY)


@pytest.mark.parametrize(
    ("days", "threshold"),
    [(30, 30), (29.9, 30), (14.1, 30), (14, 14), (7, 7), (3, 3), (1, 1), (0.1, 1), (0, 0), (-9, 0)],
)
def test_a_passed_threshold_gives_a_warning(days: float, threshold: int) -> None:
    assert due_expiry_warning(TARGET, NOTHING.host, left(days), NOW) == ExpiryNotice("f", threshold)
    assert expiry_warning(TARGET, left(days), NOW)[0]


def test_there_is_no_warning_before_the_first_threshold() -> None:
    assert due_expiry_warning(TARGET, NOTHING.host, left(30.01), NOW) is None
    assert expiry_warning(TARGET, left(30.01), NOW) == ("", "")


@pytest.mark.parametrize(
    ("live", "mode"),
    [
        (None, Mode.CUSTOM),
        (left(1), Mode.AUTOMATIC),
        (replace(left(1), is_bootstrap=True), Mode.CUSTOM),
    ],
)
def test_there_is_no_warning_for_automatic_renewal(
    live: CertificateSummary | None, mode: Mode
) -> None:
    target = replace(TARGET, mode=mode)
    assert due_expiry_warning(target, NOTHING.host, live, NOW) is None
    assert next_expiry_warning(target, live, NOW) is None
    assert expiry_warning(target, live, NOW) == ("", "")


def test_a_warning_is_given_once_and_for_each_certificate() -> None:
    given_before = HostState(expiry_notice=ExpiryNotice("f", 7))
    assert due_expiry_warning(TARGET, given_before, left(5), NOW) is None
    assert due_expiry_warning(TARGET, given_before, left(13), NOW) is None  # the clock was set back
    assert due_expiry_warning(TARGET, given_before, left(3), NOW) == ExpiryNotice("f", 3)
    other = replace(left(5), fingerprint="g")
    assert due_expiry_warning(TARGET, given_before, other, NOW) == ExpiryNotice("g", 7)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (13.5, "ends in 13 days, on 2026-12-07 00:00:00 UTC; gatecert does not renew it"),
        (1, "ends in 1 day, on"),
        (0.5, "ends in less than a day, on"),
        (-1, "ended on 2026-11-22 12:00:00 UTC: clients refuse the gateway"),
    ],
)
def test_a_warning_names_the_end_and_the_fix(days: float, words: str) -> None:
    what, fix = expiry_warning(TARGET, left(days), NOW)
    assert words in what
    assert fix.startswith("gatecert csr hq --renew")


@given(st.floats(0, 60))
def test_every_threshold_follows_in_order(days: float) -> None:
    live, now, host = left(days), NOW, NOTHING.host
    seen = []
    while True:
        notice = due_expiry_warning(TARGET, host, live, now)
        if notice is not None:
            seen.append(notice.days)
            host = HostState(expiry_notice=notice)
            assert due_expiry_warning(TARGET, host, live, now) is None
        following = next_expiry_warning(TARGET, live, now)
        if following is None:
            break
        assert following[0] > now
        now = following[0]
    assert seen == list(THRESHOLDS[-len(seen) :])


def test_the_next_warning_is_the_next_due_time() -> None:
    deployment = Deployment("1", confirmed=NOW)
    due = next_due(Situation(TARGET, NOTHING, left(20), deployment), NOW)
    assert (due.action, due.at) == (Action.NONE, NOW + 6 * DAY)
    assert due.reason == "warning: the imported certificate ends in 14 days"
    last = next_due(Situation(TARGET, NOTHING, left(0.5), deployment), NOW)
    assert last.reason == "warning: the imported certificate has ended"
    over = next_due(Situation(TARGET, NOTHING, left(-1), deployment), NOW)
    assert over.reason == "nothing is due"
