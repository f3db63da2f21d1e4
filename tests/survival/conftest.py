"""Scenes on a file system in memory where there is one, and a tally of what was survived."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.survival.scene import Scene

from gatecert.certificate.trust import system_roots
from gatecert.deadline import Deadline
from gatecert.store import durable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeVar

    Case = TypeVar("Case")

pytest.register_assert_rewrite("tests.survival.checks")

MEMORY = Path("/dev/shm")  # noqa: S108 - a file system, in which a directory of our own is made
TALLY = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough", action="store_true", help="every point and many more years (make survive)"
    )


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    lines = config.stash.get(TALLY, [])
    if lines:
        terminalreporter.section("survived")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> list[str]:
    """Lines for the end of the run."""
    return request.config.stash.setdefault(TALLY, [])


@dataclass(frozen=True)
class Pace:
    """Whether there is time for everything."""

    thorough: bool

    def some(self, cases: Sequence[Case], stride: int) -> Sequence[Case]:
        """All cases, or one of so many."""
        return cases if self.thorough else cases[::stride]


@pytest.fixture
def pace(request: pytest.FixtureRequest) -> Pace:
    return Pace(bool(request.config.getoption("--thorough", default=False)))


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as path:
        yield Path(path)


@pytest.fixture
def scene(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    system_roots()  # once, and not in every process
    monkeypatch.setattr(Deadline, "wait", lambda *_: None)  # a played authority is done at once
    before = durable.on_step
    yield Scene(directory / "run")
    durable.on_step = before
