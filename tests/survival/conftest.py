"""Scenes on a file system in memory where there is one, and a tally of what was survived."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.survival.scene import Scene

from gatecert.certificate.trust import load_trusted_roots
from gatecert.deadline import Deadline
from gatecert.store import durable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeVar

    Case = TypeVar("Case")

pytest.register_assert_rewrite("tests.survival.checks")

MEMORY = Path("/dev/shm")  # noqa: S108 - a file system, in which a directory of our own is made
TALLY = "survived"  # a property of tests, so that it comes from other processes as well


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-point", action="store_true", help="no point is left out")
    parser.addoption(
        "--thorough", action="store_true", help="the same, in every way, and many more years"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [each for some in terminalreporter.stats.values() for each in some]
    lines = [
        line
        for report in sorted(reports, key=lambda each: str(getattr(each, "nodeid", "")))
        if getattr(report, "when", "") == "teardown"
        for name, line in report.user_properties
        if name == TALLY
    ]
    if lines:
        terminalreporter.section("survived")
        for line in lines:
            terminalreporter.write_line(str(line))


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Lines for the end of the run."""
    lines: list[str] = []
    yield lines
    request.node.user_properties += [(TALLY, line) for line in lines]


@dataclass(frozen=True)
class Pace:
    """True if every point is tried.

    Attributes:
        every_point: No point is left out, at least.
        thorough: Every way to fail at every point.
    """

    every_point: bool
    thorough: bool

    def some(self, cases: Sequence[Case], stride: int) -> Sequence[Case]:
        """All cases, or one of so many."""
        return cases if self.every_point else cases[::stride]


@pytest.fixture
def pace(request: pytest.FixtureRequest) -> Pace:
    thorough = bool(request.config.getoption("--thorough", default=False))
    return Pace(
        thorough or bool(request.config.getoption("--every-point", default=False)), thorough
    )


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as path:
        yield Path(path)


@pytest.fixture
def scene(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    load_trusted_roots()  # once, and not in every process
    monkeypatch.setattr(Deadline, "wait", lambda *_: None)  # a played authority is done at once
    before = durable.on_step
    yield Scene(directory / "run")
    durable.on_step = before
