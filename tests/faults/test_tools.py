"""The tools of the rows themselves: a red row is red, and a rule strikes what it says."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.faults.proxy.__main__ import rule
from tests.faults.proxy.faults import ANSWERS, Answer, Delay
from tests.faults.proxy.rules import Rules, endpoint
from tests.faults.rows import NOT_FOR_PEERS, ROWS
from tests.faults.scoreboard import CLIENTS, read, write

from harness.pebble import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

REPORT = """<testsuites><testsuite>
<testcase name="test_row_01_badnonce_storm" time="1.5"/>
<testcase name="test_row_01_more" file="tests/faults/test_authority.py" time="0.5">
<failure message="assert 1 == 2&#10;more">the whole report</failure></testcase>
<testcase name="test_peer_row_01[certbot]" time="2"/>
<testcase name="test_peer_row_01[lego-x]" time="2">
<failure message="AssertionError: gives up|&#10;assert False"/></testcase>
<testcase name="test_peer_row_02[lego]" time="2"><failure message="KeyError: 1"/></testcase>
<testcase name="test_something_else" time="9"/>
<testcase name="test_a_tool" time="1"><error message="RuntimeError: gone"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.xml"
    path.write_text(REPORT, "utf-8")
    return path


def test_a_red_row_is_red(report: Path, tmp_path: Path) -> None:
    board = read(report)
    assert [board.mark(1, client) for client in CLIENTS] == ["✗", "✓", "✗"]
    assert board.why(1, "lego") == "gives up|"
    assert board.seconds(1) == 6
    assert board.faults(complete=False) == [
        "FAILED tests/faults/test_authority.py::test_row_01_more - assert 1 == 2",
        "FAILED test_peer_row_02[lego] - KeyError: 1",
        "FAILED test_a_tool - RuntimeError: gone",
    ]
    assert board.failures[0].output == "the whole report"
    write(tmp_path / "page.md", board, {"gatecert": "1.0"})
    lines = (tmp_path / "page.md").read_text("utf-8").splitlines()
    assert sum(line.startswith("| ") for line in lines) == 1 + len(ROWS)
    assert any("gives up\\|" in line for line in lines)


def test_a_row_that_was_not_played_is_a_fault(report: Path) -> None:
    unplayed = [fault for fault in read(report).faults(complete=True) if "not run" in fault]
    applicable = 3 * len(ROWS) - sum(len(clients) for clients in NOT_FOR_PEERS.values())
    assert len(unplayed) == applicable - 4


def test_rules_count_what_they_strike() -> None:
    rules = Rules()
    rules.add("new-order", Delay(1), times=1, after=1)
    struck = [rules.judge("POST", "/order-plz", b"", secure=True)[0] for _ in range(3)]
    assert struck == [None, Delay(1), None]
    assert rules.judge("GET", "/dir", b"", secure=True)[0] is None
    assert rules.asked("new-order") == 3
    rules.clear()
    assert rules.asked("directory") == 1
    with pytest.raises(ValueError, match="nowhere"):
        rules.add("nowhere", Delay(1))
    assert endpoint("/authZ/1") == "authorization"


def test_rules_are_read_from_the_command_line() -> None:
    busy = rule("new-order=busy,times=2")
    assert (busy.where, busy.times, busy.fault) == ("new-order", 2, ANSWERS["busy"])
    made = rule("any=answer,status=429,retry_after=20,as_date=true,seconds-long=3")
    assert made.fault == Answer(429, retry_after=20, as_date=True)
    assert made.seconds == 3
    for wrong in ("new-order=nonsense", "nowhere=busy", "directory"):
        with pytest.raises(ValueError, match=wrong.partition("=")[0]):
            rule(wrong)


def test_the_proxy_tells_what_it_can_do() -> None:
    said = subprocess.run(
        [PROJECT / "tests" / "faults" / "fault-proxy", "--help"],
        text=True,
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    for word in ("renewal-info", "slow-validation", "already-replaced", "times=N"):
        assert word in said
