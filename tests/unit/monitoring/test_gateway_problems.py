from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.gateway_statuses import (
    BOOTSTRAP,
    CLIENT_CA,
    DAY,
    EVERY_STATE,
    FULL,
    HOUR,
    NOW,
    error,
    gateway,
)

from gatecert.model import Event, Mode, OutcomeKind, PastOutcome, ReceiverPlan, Severity
from gatecert.model.monitoring import ReceiverKind
from gatecert.monitoring.gateway_problems import Past, Problem, problems
from gatecert.monitoring.gateway_values import gateway_values
from gatecert.monitoring.overview import Overview
from gatecert.report.gateway_status import Condition, SecondCertificate

if TYPE_CHECKING:
    from datetime import timedelta

    from gatecert.report.gateway_status import GatewayStatus

PLAN = ReceiverPlan("ops", ReceiverKind.COMMAND)
STATES = {each.name: each for each in EVERY_STATE}
UNTOUCHED = Past()


def found(status: GatewayStatus, past: Past = UNTOUCHED) -> dict[Event, Problem]:
    return problems(status, past, PLAN, NOW)


def outcome(kind: OutcomeKind, times: int = 1, code: str = "") -> PastOutcome:
    return PastOutcome(NOW - HOUR, kind, f"it was {kind}", code, NOW - DAY, times)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("boston", set()),
        ("private", set()),
        ("kiel", {Event.FAILED}),
        ("lyon", set()),  # failed once
        ("oslo", {Event.NOT_SERVED}),
        ("bern", {Event.NOT_SERVED}),
        ("split", {Event.NOT_SERVED}),
        ("hq", set()),
        ("new", set()),
        ("pace", {Event.BUDGET_SPENT}),
        ("rome", set()),
        ("beijing", set()),
        ("late", {Event.FAILED, Event.ENDS_SOON}),
        ("void", set()),
        ("gone", {Event.REVOKED}),
        ("fresh", set()),
    ],
)
def test_each_state_has_its_problems(name: str, expected: set[Event]) -> None:
    assert found(STATES[name]).keys() == expected


def test_words_and_advice_are_those_of_the_status() -> None:
    failed = found(STATES["kiel"])[Event.FAILED]
    assert failed.text.startswith("enrolment failed 3 times: letsencrypt: the order was refused")
    assert "next attempt" not in failed.text  # it is read later
    assert (failed.code, failed.fix) == (
        "acme",
        "use another name, or ask the CA to allow this one",
    )
    unserved = found(STATES["oslo"])[Event.NOT_SERVED]
    assert unserved.text == "127.0.0.1:443 serves the certificate old.example.com"
    assert unserved.severity is Severity.CRITICAL
    revoked = found(STATES["gone"])[Event.REVOKED]
    assert "2026-11-29 05:30:00 UTC (keyCompromise)" in revoked.text
    assert revoked.fix == "gatecert doctor gone"


def test_a_check_that_prevents_orders_counts_as_often_as_it_did() -> None:
    known = error("port-taken", "port 80 is taken", "free it")
    twice = gateway("a", last_error=known, history=(outcome(OutcomeKind.FAILED, 2),))
    assert not found(twice)
    thrice = replace(twice, history=(outcome(OutcomeKind.FAILED, 3),))
    assert found(thrice)[Event.FAILED].text == "port 80 is taken"
    since = (outcome(OutcomeKind.WAITING), outcome(OutcomeKind.FAILED, 9))
    assert not found(replace(twice, history=since))


@pytest.mark.parametrize("name", ["boston", "kiel", "oslo", "pace"])
def test_a_status_that_cannot_be_read_is_no_failed_attempt(name: str) -> None:
    overview, known = Overview(), STATES[name]
    overview.keep([name])
    overview.describe(known)
    for _ in range(3):
        assert found(overview.statuses[name]) == found(known)
        overview.fail(name, error("storage", "state.json cannot be read", "look at the disk"))
    after = overview.statuses[name]
    failed = found(after)[Event.FAILED]
    assert failed.text == "its status could not be read 3 times: state.json cannot be read"
    assert (failed.code, failed.fix) == ("storage", "look at the disk")
    assert found(after) == found(known) | {Event.FAILED: failed}
    assert gateway_values(after) == replace(gateway_values(known), needs_attention=True)
    overview.describe(known)
    assert found(overview.statuses[name]) == found(known)


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (Condition.NOT_SERVED, Event.DRIFT),
        (Condition.MIXED, Event.DRIFT),
        (Condition.SILENT, Event.NOT_SERVED),
    ],
)
def test_a_listener_that_served_the_certificate_has_drifted(state: Condition, event: Event) -> None:
    status = gateway("a", state, served=False, served_detail="it serves another one")
    past = UNTOUCHED.with_status(gateway("a"))
    assert found(status, past).keys() == {event}
    renewed = replace(status, fingerprint="cd" * 32)
    assert found(renewed, past).keys() == {Event.NOT_SERVED}
    assert past.with_status(renewed).proven == gateway("a").fingerprint


@pytest.mark.parametrize("worse", [Condition.EXPIRED, Condition.REVOKED])
@pytest.mark.parametrize(
    ("state", "detail", "event"),
    [
        (Condition.NOT_SERVED, "it serves another one", Event.DRIFT),
        (Condition.SILENT, "", Event.NOT_SERVED),
    ],
)
def test_a_certificate_that_ends_while_it_is_not_served_is_still_not_served(
    worse: Condition, state: Condition, detail: str, event: Event
) -> None:
    past = UNTOUCHED.with_status(gateway("a"))
    before = gateway("a", state, served=False, served_detail=detail)
    after = replace(before, state=worse, last_error=error("acme", "refused"))
    assert found(after, past)[event].text == found(before, past)[event].text
    assert event not in found(replace(after, served=True), past)
    assert event not in found(replace(after, served=None), past)


def test_a_roll_back_is_repaired_by_a_later_deployment() -> None:
    rolled_back = outcome(OutcomeKind.ROLLED_BACK, code="not-served")
    status = gateway("a", history=(outcome(OutcomeKind.WAITING), rolled_back))
    problem = found(status)[Event.ROLLED_BACK]
    assert (problem.text, problem.code) == ("it was rolled-back", "not-served")
    repaired = (outcome(OutcomeKind.RENEWED), rolled_back)
    assert not found(replace(status, history=repaired))


def test_a_name_has_moved_only_if_it_was_here() -> None:
    status = gateway("a", points_here=False)
    assert not found(status)
    past = UNTOUCHED.with_status(gateway("a", points_here=True)).with_status(gateway("a"))
    text = found(status, past)[Event.NAME_MOVED].text
    assert text == "a.example.com no longer points at this gateway"
    known = error("name-not-here", "it resolves to 198.51.100.7")
    told = found(replace(status, last_error=known), past)[Event.NAME_MOVED].text
    assert told.endswith(": it resolves to 198.51.100.7")
    assert not found(gateway("a", points_here=None), past)


def test_a_name_that_was_changed_in_the_configuration_has_not_moved() -> None:
    past = UNTOUCHED.with_status(gateway("a", points_here=True))
    renamed = gateway("a", hostname="b.example.com", points_here=False)
    assert not found(renamed, past)
    later = past.with_status(renamed)
    assert not found(renamed, later)
    assert found(gateway("a", points_here=False), replace(past, hostname=""))  # an older record
    here = later.with_status(replace(renamed, points_here=True))
    assert Event.NAME_MOVED in found(renamed, here)


@pytest.mark.parametrize(
    ("lifetime", "left", "severity"),
    [
        (90 * DAY, 15 * DAY, None),
        (90 * DAY, 14 * DAY, Severity.WARNING),
        (90 * DAY, 4 * DAY, Severity.WARNING),
        (90 * DAY, 3 * DAY, Severity.CRITICAL),
        (90 * DAY, -DAY, Severity.CRITICAL),
        (6 * DAY, 2 * DAY, None),
        (6 * DAY, DAY, Severity.WARNING),
        (6 * DAY, 7 * HOUR, Severity.CRITICAL),
    ],
)
def test_soon_is_at_most_a_fifth_of_the_lifetime(
    lifetime: timedelta, left: timedelta, severity: Severity | None
) -> None:
    end = NOW + left
    status = gateway("a", not_before=end - lifetime, not_after=end)
    problem = found(status).get(Event.ENDS_SOON)
    assert (problem and problem.severity) == severity
    second = SecondCertificate("rsa", "CN=R12", "ef" * 32, end - lifetime, end)
    other = found(gateway("a", second=second)).get(Event.ENDS_SOON)
    assert (other and other.severity) == severity


@pytest.mark.parametrize("state", [Condition.BOOTSTRAP, Condition.FAILING, Condition.NOT_SERVED])
def test_a_bootstrap_certificate_does_not_end_soon(state: Condition) -> None:
    status = gateway("a", state, **BOOTSTRAP, not_after=NOW + HOUR)
    assert Event.ENDS_SOON not in found(status)
    imported = replace(status, mode=Mode.CUSTOM, state=Condition.TRUSTED)
    assert Event.ENDS_SOON in found(imported)


def test_the_first_client_ca_to_end_is_told() -> None:
    assert not found(replace(FULL, failures=0, last_error=None))
    clients = FULL.client_authentication
    assert clients is not None
    soon = replace(CLIENT_CA, subject="CN=Old", not_before=NOW - 100 * DAY, not_after=NOW + DAY)
    status = gateway("a", client_authentication=replace(clients, authorities=(CLIENT_CA, soon)))
    problem = found(status)[Event.CLIENT_AUTHORITY_ENDS]
    assert problem.text == "the client CA CN=Old ends on 2026-11-30 10:30:00 UTC"
    assert problem.severity is Severity.CRITICAL
