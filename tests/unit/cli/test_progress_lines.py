"""Plain lines, quiet lines and JSON lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest

from gatecert.cli.closing import Closing
from gatecert.cli.display import Display, open_display
from gatecert.cli.options import Options
from gatecert.cli.progress_json import ProgressJson
from gatecert.cli.progress_lines import ProgressLines, QuietLines
from gatecert.errors import LockTimeoutError
from gatecert.model import Outcome, OutcomeKind, Stage, Wait

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
REFUSED = Outcome("vpn", NOW, OutcomeKind.FAILED, "refused", code="acme", fix="publish it")
SERVED = Outcome(
    "vpn",
    NOW,
    OutcomeKind.DEPLOYED,
    "is served",
    next_action="enrol: renewal",
    next_at=NOW + timedelta(days=60),
    seconds=1.5,
)
CLOSING = Closing("Done.", "nothing is left to do", is_good=True, exit_code=0)
PLAIN = """\
vpn: check: good
vpn: deployed: is served (1.50 s); next: enrol: renewal at 2027-01-22 12:00:00 UTC
"""
ERRORS = """\
vpn: failed: refused (0.00 s); publish it
gatecert: vpn is being changed (wait)
hq: interrupted: keeps its certificate
"""


class Tty(StringIO):
    def isatty(self) -> bool:
        return True


def play(display: Display) -> None:
    """Show one of everything."""
    with display:
        display.expect(3)
        display("vpn", Stage.CHECK, "good")
        display("vpn", Stage.ORDER, Wait("the CA to answer", 5))
        display.finish(SERVED)
        display.finish(REFUSED)
        display.refuse("edge", LockTimeoutError("vpn is being changed", fix="wait"))
        display.interrupt("hq", "keeps its certificate")
        display.close(CLOSING)


def test_plain_lines_leave_out_waits_and_the_closing_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    play(ProgressLines())
    assert capsys.readouterr() == (PLAIN, ERRORS)


def test_quiet_lines_are_errors_only(capsys: pytest.CaptureFixture[str]) -> None:
    display = QuietLines()
    display.write("revoked")
    play(display)
    assert capsys.readouterr() == ("", ERRORS)


def test_each_json_line_is_an_event_and_errors_are_on_standard_error_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    display = ProgressJson()
    display.write("revoked")
    play(display)
    output, errors = capsys.readouterr()
    lines = [json.loads(line) for line in output.splitlines()]
    for line in lines:
        assert line.pop("schema") == 1
        assert datetime.fromisoformat(line.pop("at")).tzinfo is not None
    outcome = {"event": "outcome", "gateway": "vpn"}
    assert lines == [
        {"event": "note", "message": "revoked"},
        {"event": "stage", "gateway": "vpn", "stage": "check", "message": "good"},
        {
            "event": "wait",
            "gateway": "vpn",
            "stage": "order",
            "waits_for": "the CA to answer",
            "at_most_seconds": 5,
        },
        outcome
        | {
            "outcome": "deployed",
            "settled": True,
            "detail": "is served",
            "code": None,
            "fix": None,
            "next_action": "enrol: renewal",
            "next_at": "2027-01-22T12:00:00.000Z",
            "seconds": 1.5,
        },
        outcome
        | {
            "outcome": "failed",
            "settled": False,
            "detail": "refused",
            "code": "acme",
            "fix": "publish it",
            "next_action": None,
            "next_at": None,
            "seconds": 0.0,
        },
        {
            "event": "error",
            "gateway": "edge",
            "code": "gateway-busy",
            "message": "vpn is being changed",
            "fix": "wait",
        },
        {"event": "interrupted", "gateway": "hq", "detail": "keeps its certificate"},
        {
            "event": "end",
            "exit_code": 0,
            "summary": "Done.",
            "next_step": "nothing is left to do",
        },
    ]
    assert errors == ERRORS


@pytest.mark.parametrize(
    ("name", "value", "marks"),
    [("TERM", "dumb", "✓ "), ("LC_ALL", "C", "+ ")],
)
def test_marks_need_a_terminal_and_its_characters(
    name: str, value: str, marks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    told, errors = Tty(), StringIO()
    monkeypatch.setattr(Tty, "encoding", "utf-8", raising=False)
    monkeypatch.setattr("sys.stdout", told)
    monkeypatch.setattr("sys.stderr", errors)
    lines = ProgressLines()
    lines.finish(SERVED)
    lines.finish(REFUSED)
    assert told.getvalue().startswith(f"{marks}vpn: deployed")
    assert errors.getvalue().startswith("vpn: failed: refused")


@pytest.mark.parametrize(
    ("options", "as_json", "term", "shown"),
    [
        (Options("c"), False, "dumb", "ProgressLines"),
        (Options("c"), False, "xterm", "LiveProgress"),
        (Options("c", quiet=True), False, "xterm", "QuietLines"),
        (Options("c", quiet=True), True, "xterm", "ProgressJson"),
    ],
)
def test_options_and_terminal_choose_the_display(
    options: Options,
    as_json: bool,  # noqa: FBT001 - a parameter of the test
    term: str,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("sys.stdout", Tty())
    assert type(open_display(options, as_json=as_json)).__name__ == shown
