"""The text for people of a diagnosis, at several widths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.clock import HOUR
from tests.fakes.doctor_facts import BOOTSTRAP, NOW, TARGET, case, machine, situation
from tests.fakes.expected_text import assert_expected

from gatecert.doctor import codes
from gatecert.doctor.checks import Result, run_checks
from gatecert.doctor.diagnosis_text import diagnosis_text
from gatecert.model import (
    Deployment,
    EnrolmentState,
    GatewayState,
    HostState,
    Mode,
    Outcome,
    OutcomeKind,
)
from gatecert.report.terminal import Terminal, cells, control

EXPECTED = Path(__file__).parent / "expected"
REFUSED = Outcome(
    "vpn",
    NOW - HOUR,
    OutcomeKind.FAILED,
    "CA acme: rejectedIdentifier: policy forbids issuing for vpn.example.com, see"
    " https://ca.test/docs/policy",
    code="acme",
    fix="use another name, or ask the CA to allow this one",
)
FAILING = replace(
    case(
        live=BOOTSTRAP,
        situation=situation(
            live=BOOTSTRAP.summary,
            state=GatewayState(
                EnrolmentState(failures=3, failed_at=NOW - HOUR, next_attempt=NOW + HOUR),
                HostState(outcome=REFUSED),
            ),
        ),
        root=None,
        by_name=(),
        by_address=(),
    ),
    target=replace(TARGET, name="kiel"),
)
EXCLUDED = case(
    target=replace(TARGET, name="beijing"),
    live=BOOTSTRAP,
    situation=replace(situation(live=BOOTSTRAP.summary), excluded_region="cn"),
    root=None,
)
HUNG = case(
    target=replace(TARGET, name="oslo"),
    situation=situation(deployment=Deployment("3", None, 2, NOW, "install.reload hung for 60 s")),
)
RESULTS = run_checks(machine(daemon=None), (case(), FAILING, EXCLUDED, HUNG))


@pytest.mark.parametrize("width", [40, 80, 120])
def test_only_what_is_not_well(width: int) -> None:
    lines = diagnosis_text(RESULTS, Terminal(width))
    assert_expected(lines, EXPECTED / f"doctor-{width}.txt")
    assert all(cells(line) <= width or len(line.split()) == 1 for line in lines)


def test_everything_in_a_pipe_in_ascii() -> None:
    lines = diagnosis_text(RESULTS, Terminal(has_unicode=False), everything=True)
    assert_expected(lines, EXPECTED / "doctor-all-pipe-ascii.txt")
    assert "passed" not in lines[-1]
    assert all(line.isascii() for line in lines)


def test_nothing_wrong_is_two_lines() -> None:
    results = run_checks(machine(), (case(target=replace(TARGET, mode=Mode.AUTOMATIC)),))
    notes = sum(each.finding.severity == "note" for each in results)
    assert diagnosis_text(results, Terminal(80)) == [
        "0 failures, 0 warnings",
        f"{len(results)} checks passed, {notes} with a note (--all shows them)",
    ]


def test_one_is_singular() -> None:
    failure = Result("daemon", codes.KEY_EXPOSED.found("it is 0666"))
    passed = Result("daemon", codes.DAEMON_OK.found("running"))
    lines = diagnosis_text([failure, passed], Terminal())
    assert lines[-2:] == ["1 failure, 0 warnings", "1 other check passed (--all shows them)"]


def test_colours_are_those_of_the_severity() -> None:
    lines = diagnosis_text(RESULTS, Terminal(80, colours=True))
    plain = diagnosis_text(RESULTS, Terminal(80))
    assert [cells(line) for line in lines] == [cells(line) for line in plain]
    assert any(f"{control('[31m')}✗{control('[0m')}" in line for line in lines)


def test_a_note_that_explains_a_self_signed_certificate_is_shown() -> None:
    young = case(
        live=replace(BOOTSTRAP, version=replace(BOOTSTRAP.version, created=NOW)),
        situation=situation(live=BOOTSTRAP.summary),
        root=None,
    )
    text = "\n".join(diagnosis_text(run_checks(machine(), (young,)), Terminal()))
    assert "[bootstrap-young]" in text
    assert "[connect-by-name]" not in text
