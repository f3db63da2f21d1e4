"""The line that says what to do next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gatecert import container
from gatecert.cli.closing import closing_of, interrupted
from gatecert.model import Outcome, OutcomeKind

START = (
    "start the daemon, which renews by itself: systemctl enable --now gatecert (or gatecert run)"
)
REAL = "gatecert enroll boston orders the real certificate"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GOOD = Outcome("boston", NOW, OutcomeKind.ENROLLED, "is served")
IDLE = Outcome("boston", NOW, OutcomeKind.IDLE, "nothing is due")
LOST = Outcome("lost", NOW, OutcomeKind.WAITING, "no address", code="name-no-address")
BROKEN = Outcome("hq", NOW, OutcomeKind.FAILED, "refused", code="acme")


@pytest.mark.parametrize(
    ("outcomes", "more", "line"),
    [
        (
            [GOOD],
            {"daemon_runs": True},
            "Done. → the running daemon renews by itself; nothing is left to do",
        ),
        (
            [GOOD, replace(IDLE, gateway="hq")],
            {},
            f"Done: 1 of 2 had work. → {START}",
        ),
        (
            [IDLE],
            {"without_import": ["boston"]},
            "Nothing was due. → gatecert csr boston prints the CSR to have signed",
        ),
        (
            [BROKEN],
            {"daemon_runs": True},
            "hq failed. → gatecert doctor hq says what is wrong and how to mend it",
        ),
        (
            [BROKEN, GOOD, LOST],
            {"refused": ["edge"]},
            "2 of 4 failed. → gatecert doctor hq edge says what is wrong and how to mend it",
        ),
        (
            [replace(BROKEN, gateway=f"g{number}") for number in range(9)],
            {},
            "9 of 9 failed. → gatecert doctor says what is wrong and how to mend it",
        ),
        ([], {}, "No gateway is configured. → gatecert init sets one up"),
        (
            [GOOD, LOST],
            {"locked": ["edge"], "daemon_runs": True},
            "edge is locked. → when the other gatecert has finished: gatecert enroll edge",
        ),
        (
            [LOST, GOOD],
            {"daemon_runs": True},
            "lost waits. → do what is said above; the running daemon then continues by itself",
        ),
        (
            [LOST, replace(LOST, gateway="edge")],
            {},
            "2 gateways wait. → do what is said above, then gatecert enroll lost edge",
        ),
        (
            [LOST],
            {"dry_run": True, "daemon_runs": True},
            "lost waits. → do what is said above, then gatecert enroll lost --dry-run",
        ),
        (
            [GOOD],
            {"dry_run": True},
            f"The dry run succeeded; nothing was changed. → {REAL}",
        ),
    ],
)
def test_closing_line(
    outcomes: list[Outcome], more: dict[str, Any], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "in_container", False)
    assert str(closing_of(outcomes, **{"daemon_runs": False} | more)) == line


def test_in_a_container_no_service_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "in_container", True)
    assert "systemctl" not in str(closing_of([GOOD], daemon_runs=False))


def test_an_interrupted_command_says_how_to_continue() -> None:
    closing = interrupted(["boston"], exit_code=130)
    assert str(closing) == (
        "Interrupted; every file is whole. → gatecert enroll boston continues where this stopped"
    )
