"""The live display, as a terminal emulator shows it."""

from __future__ import annotations

import io
import logging
import threading
from contextlib import contextmanager, redirect_stderr
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyte
import pytest

from gatecert.cli.closing import Closing
from gatecert.cli.live_progress import LiveProgress
from gatecert.errors import LockTimeoutError
from gatecert.model import Outcome, OutcomeKind, Stage, Wait
from gatecert.report import logs
from gatecert.report.terminal import CleanStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TextIO

NOW = datetime.now(UTC)
SERVED = Outcome(
    "boston",
    NOW,
    OutcomeKind.ENROLLED,
    "the certificate of boston.example.com is served",
    next_action="enrol: renewal due",
    next_at=NOW + timedelta(hours=30, minutes=5),
    seconds=2.4,
)
REFUSED = Outcome("hq", NOW, OutcomeKind.FAILED, "refused", code="acme", fix="publish it")


class Screen(io.TextIOWrapper):
    """A terminal of 80 or 120 columns and 12 rows."""

    def __init__(self, columns: int) -> None:
        super().__init__(io.BytesIO(), "utf-8")
        self.emulator = pyte.HistoryScreen(columns, 12)
        self._parser = pyte.Stream(self.emulator)
        self._writing = threading.RLock()  # the display draws in a thread of its own, too

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._writing:
            self._parser.feed(text.replace("\n", "\r\n"))  # as a terminal's line discipline does
        return len(text)

    def flush(self) -> None:
        """Do nothing: everything is shown at once."""

    @property
    def lines(self) -> list[str]:
        with self._writing:
            shown = [line.rstrip() for line in self.emulator.display]
        while shown and not shown[-1]:
            shown.pop()
        return shown


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def live(screen: Screen, clock: Clock, errors: TextIO | None = None) -> Iterator[LiveProgress]:
    shown = CleanStream.around(screen)
    with redirect_stderr(errors or shown), LiveProgress(shown, clock) as display:
        yield display


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=[80, 120])
def screen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("COLUMNS", str(request.param))
    monkeypatch.setenv("LINES", "12")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("NO_COLOR", "1")
    return Screen(request.param)


def test_a_single_gateway_shows_its_stages_with_their_times(screen: Screen, clock: Clock) -> None:
    with live(screen, clock) as display:
        display("boston", Stage.RESOLVE, "looking up boston.example.com")
        display("boston", Stage.RESOLVE, "it points here")
        clock.now += 0.2
        display("boston", Stage.ORDER, "order placed")
        display("boston", Stage.ORDER, Wait("the CA to validate boston.example.com", 300))
        clock.now += 3.3
        display.draw()
        before = [*screen.lines]
        display("boston", Stage.INSTALL, "reloading the gateway")
        display("boston", Stage.VERIFY, Wait("127.0.0.1:443 to serve it", 15))
        clock.now += 9
        display.draw()
        during = [*screen.lines]
        display.finish(SERVED)
        display.close(Closing("Done.", "nothing is left to do", is_good=True, exit_code=0))
    steps = [
        "  resolve  looking up boston.example.com",
        "  resolve  it points here (0.2 s)",
        "  order    order placed",
    ]
    assert before[:3] == steps
    assert before[3][2:] == "order: waiting for the CA to validate boston.example.com  3/300 s"
    steps[-1] += " (3.3 s)"
    steps.append("  install  reloading the gateway (0.0 s)")
    assert during[:4] == steps
    assert during[4][2:] == "verify: waiting for 127.0.0.1:443 to serve it  9/15 s"
    assert screen.lines == [
        *steps,
        "✓ boston: enrolled: the certificate of boston.example.com is served (2.4 s)",
        "    next: in 30 h: enrol: renewal due",
        "Done. → nothing is left to do",
    ]


def test_without_an_outcome_the_last_step_stays(screen: Screen, clock: Clock) -> None:
    with live(screen, clock) as display:
        display("boston", Stage.VERIFY, "127.0.0.1:443 serves it")
        clock.now += 1.5
    assert screen.lines == ["  verify   127.0.0.1:443 serves it (1.5 s)"]


def test_several_gateways_have_a_line_each_and_outcomes_stay_above(
    screen: Screen, clock: Clock
) -> None:
    with live(screen, clock) as display:
        display.expect(20)
        for number in range(16):
            display(f"edge-{number}", Stage.ORDER, f"message {number}")
        assert len(screen.lines) == 10  # of 12 rows
        assert screen.lines[-1] == "  0 of 20 done, 7 more in progress, 4 to begin"
        display.finish(REFUSED)
        display.refuse("edge-0", LockTimeoutError("edge-0 is being changed", fix="wait"))
        display.interrupt("edge-1", "keeps its certificate")
        display.write("a line")
        assert screen.lines[-1] == "  3 of 20 done, 5 more in progress, 3 to begin"
    above = [
        "✗ hq: failed: refused (0.0 s)",
        "  → publish it",
        "gatecert: edge-0 is being changed (wait)",
        "edge-1: interrupted: keeps its certificate",
        "a line",
    ]
    history = [text_of(row) for row in screen.emulator.history.top]
    assert [*history, *screen.lines] == above


def text_of(row: Mapping[int, pyte.screens.Char]) -> str:
    """Return the text of a row that has left the screen at its top."""
    return "".join(row[column].data for column in range(60)).rstrip()


def test_log_records_stay_above_the_live_lines(screen: Screen, clock: Clock) -> None:
    logs.configure(logging.WARNING, screen)
    try:
        with live(screen, clock) as display:
            display("boston", Stage.ORDER, "ordering")
            logging.getLogger("gatecert").warning("something gateway=boston")
            assert screen.lines[0].endswith("WARNING something gateway=boston")
            assert screen.lines[1][2:] == "order: ordering"
        logging.getLogger("gatecert").warning("later")
    finally:
        logging.basicConfig(handlers=[], force=True)
    first, step, last = screen.lines
    assert first.endswith("WARNING something gateway=boston")
    assert step == "  order    ordering (0.0 s)"
    assert last.endswith("WARNING later")


def test_failures_are_plain_where_standard_error_is_no_terminal(
    screen: Screen, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = io.StringIO()
    monkeypatch.delenv("COLUMNS")
    with live(screen, clock, errors) as display:
        display.finish(REFUSED)
    assert errors.getvalue() == "hq: failed: refused (0.00 s); publish it\n"


def test_a_terminal_that_became_narrower_keeps_no_remains(
    screen: Screen, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with live(screen, clock) as display:
        display("boston", Stage.ORDER, "a message that is longer than forty columns are wide")
        screen.emulator.resize(columns=40)
        monkeypatch.setenv("COLUMNS", "40")
        display("boston", Stage.ORDER, "the next message")
        assert screen.lines[-1][2:] == "order: the next message"
    assert all("order:" not in line for line in screen.lines)
