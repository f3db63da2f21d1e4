from __future__ import annotations

import json
from typing import Any

from tests.fakes.clock import NOW

from gatecert.model import Event, Severity
from gatecert.monitoring.message_text import Said, document, trial_document
from gatecert.monitoring.notification_state import Part, Told

HOSTILE = "<script>alert(1)</script>\x1b[31m\r\nBcc: all@example.com\n" + "x" * 10_000


def said(
    gateway: str,
    part: Part = Part.BEGAN,
    severity: Severity = Severity.WARNING,
    event: Event = Event.FAILED,
    text: str = "renewal failed 3 times",
    fix: str = "open port 80",
) -> Said:
    return Said(part, Told(gateway, event, NOW, severity, text, fix, "acme"))


def message(*statements: Said) -> dict[str, Any]:
    return document(statements, "1", "vpn1", NOW)


def test_one_problem_is_in_the_title() -> None:
    found = message(said("boston"))
    assert found["title"] == "gatecert: warning: boston: renewal failed 3 times"
    assert found["text"].splitlines() == [
        "1 warning on vpn1: boston",
        "",
        "warning: boston: failed: renewal failed 3 times",
        "    to do: open port 80",
    ]
    (event,) = found["events"]
    assert (event["event"], event["code"], event["since"]) == (
        "failed",
        "acme",
        "2026-11-23T08:15:00Z",
    )


def test_the_worst_comes_first_and_what_is_over_last() -> None:
    found = message(
        said("kiel", Part.RECOVERED, Severity.CRITICAL, Event.DRIFT),
        said("lyon", Part.REMINDER),
        said("boston"),
        said("oslo", severity=Severity.CRITICAL, event=Event.REVOKED),
    )
    assert [event["gateway"] for event in found["events"]] == ["oslo", "boston", "lyon", "kiel"]
    assert found["title"] == "gatecert: 1 critical, 2 warning: oslo, boston, lyon"
    assert found["text"].startswith("1 critical, 2 warning, 1 recovered on vpn1: oslo, boston")
    assert found["severity"] == "critical"
    last = found["events"][-1]
    assert (last["event"], last["of"], last["fix"]) == ("recovered", "drift", "")


def test_titles_of_reminders_and_recoveries() -> None:
    assert message(said("a", Part.REMINDER))["title"].startswith("gatecert: still warning: a: ")
    assert message(said("a", Part.RECOVERED))["title"] == "gatecert: recovered: a"


def test_a_thousand_gateways_are_one_short_message() -> None:
    found = message(*(said(f"edge-{number:04}") for number in range(1000)))
    assert len(found["title"]) <= 120
    lines = found["text"].splitlines()
    assert len(lines[0]) <= 160
    assert lines[0].endswith("edge-0004 and 995 more")
    assert lines[-1] == "... and 980 more; see them all: gatecert status"
    assert len(lines) == 2 + 2 * 20 + 1
    assert (len(found["events"]), found["more"]) == (200, 800)


def test_hostile_texts_are_one_line_each() -> None:
    found = message(said(HOSTILE, text=HOSTILE, fix=HOSTILE, severity=Severity.CRITICAL))
    assert found["title"].isprintable()
    assert len(found["title"]) <= 120
    lines = found["text"].split("\n")
    assert len(lines) == 4
    assert all(line.isprintable() and len(line) <= 520 for line in lines)
    (event,) = found["events"]
    assert all(value.isprintable() for value in event.values() if isinstance(value, str))
    assert len(json.dumps(found)) < 5000


def test_a_test_message_says_that_nothing_is_wrong() -> None:
    found = trial_document("1", "vpn1\n", NOW)
    assert found["title"] == "gatecert: test message of vpn1"
    assert "Nothing is wrong" in str(found["text"])
    assert found.keys() == message(said("a")).keys()
