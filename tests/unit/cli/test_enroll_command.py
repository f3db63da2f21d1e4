"""``gatecert enroll``: waiting for the next attempt is no success without a certificate."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from gatecert.cli.enroll_command import with_earlier_failure
from gatecert.model import (
    CertificateSummary,
    EnrolmentState,
    GatewayState,
    HostState,
    Identifier,
    IdentifierType,
    Mode,
    Outcome,
    OutcomeKind,
    RevocationState,
    Target,
)
from gatecert.schedule.due import Situation

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NAME = Identifier(IdentifierType.DNS, "vpn.example.com")
TARGET = Target("vpn", (NAME,), "vpn.example.com")
ISSUED = CertificateSummary(
    subject="CN=vpn.example.com",
    issuer="CN=Authority",
    identifiers=(NAME,),
    not_before=NOW - 30 * DAY,
    not_after=NOW + 60 * DAY,
    fingerprint="ab12",
    chain_fingerprints=(),
    key_fingerprint="k",
    is_bootstrap=False,
    certificate_id="a.b",
)
BOOTSTRAP = replace(ISSUED, is_bootstrap=True)
ENDED = replace(ISSUED, not_after=NOW)
REVOKED = RevocationState(ISSUED.fingerprint, NOW + DAY, checked=NOW, revoked=NOW - DAY)

REFUSED = Outcome("vpn", NOW - DAY, OutcomeKind.FAILED, "refused", code="acme", fix="publish it")
SPENT = Outcome("vpn", NOW - DAY, OutcomeKind.WAITING, "five a week", code="budget-spent")
SERVED = Outcome("vpn", NOW - DAY, OutcomeKind.DEPLOYED, "is served")
IDLE = Outcome("vpn", NOW, OutcomeKind.IDLE, "nothing is due", next_at=NOW + DAY)
AT_ONCE = "gatecert enroll vpn --force retries at once"

FAILING = GatewayState(EnrolmentState(failures=3), HostState(outcome=REFUSED))


def judged(
    live: CertificateSummary | None,
    state: GatewayState,
    *,
    target: Target = TARGET,
    outcome: Outcome = IDLE,
) -> Outcome:
    situation = Situation(target, state, live, None)
    pipeline = SimpleNamespace(open=lambda _: SimpleNamespace(situation=situation))
    application: Any = SimpleNamespace(pipeline=pipeline)
    return with_earlier_failure(application, target, outcome)


@pytest.mark.parametrize(
    ("live", "state", "detail", "fix"),
    [
        (BOOTSTRAP, FAILING, "3 failed attempts, last: refused", f"publish it; {AT_ONCE}"),
        (ENDED, FAILING, "3 failed attempts, last: refused", f"publish it; {AT_ONCE}"),
        (
            ISSUED,
            replace(FAILING, enrolment=replace(FAILING.enrolment, revocation=REVOKED)),
            "3 failed attempts, last: refused",
            f"publish it; {AT_ONCE}",
        ),
        (
            BOOTSTRAP,
            GatewayState(EnrolmentState(failures=1), HostState(outcome=SERVED)),
            "1 failed attempt",
            AT_ONCE,
        ),
        (BOOTSTRAP, GatewayState(host=HostState(outcome=SPENT)), "five a week", ""),
    ],
)
def test_earlier_failures_are_reported_while_waiting(
    live: CertificateSummary, state: GatewayState, detail: str, fix: str
) -> None:
    outcome = judged(live, state)
    assert (outcome.settled, outcome.next_at) == (False, IDLE.next_at)
    assert (outcome.detail, outcome.fix) == (detail, fix)


def test_gateway_with_a_certificate_reports_no_earlier_failure() -> None:
    assert judged(ISSUED, FAILING) == IDLE


def test_new_outcome_is_reported_unchanged() -> None:
    assert judged(BOOTSTRAP, FAILING, outcome=REFUSED) == REFUSED


def test_idle_outcome_stays_without_failures_or_enrolment() -> None:
    custom = replace(TARGET, mode=Mode.CUSTOM)
    assert judged(BOOTSTRAP, FAILING, target=custom) == IDLE
    assert judged(BOOTSTRAP, GatewayState()) == IDLE
