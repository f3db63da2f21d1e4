"""Attacks: each is tried for real, and its test passes if it fails.

`make security` counts them. A test without the marker `attack` verifies that what was attacked
still works.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from harness.challenge_test_server import ChallengeTestServer
from harness.gatecert import Gatecert
from harness.pebble import Pebble
from harness.process import SEARCH_PATH

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

MARKER: Final = "attack"
USERS: Final = (60001, 60002)


@dataclass(frozen=True, slots=True)
class User:
    """An ordinary user of this machine, alone in a group with the same number."""

    number: int

    def run(
        self, *argv: str | Path, seconds: float = 60.0, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as this user; the caller checks the exit code."""
        return subprocess.run(
            argv,
            user=self.number,
            group=self.number,
            extra_groups=[],
            env={"PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8", **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )

    def own(self, path: Path) -> Path:
        """Give a file or directory to this user."""
        os.chown(path, self.number, self.number, follow_symlinks=False)
        return path


@pytest.fixture
def attacker() -> User:
    """An ordinary user without any rights."""
    return User(USERS[0])


@pytest.fixture
def other_user() -> User:
    """Another ordinary user, for example of a service."""
    return User(USERS[1])


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    """A temporary directory that every user can reach."""
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid != os.geteuid() or directory == Path("/"):
            break
        directory.chmod(directory.stat().st_mode | 0o011)
    return tmp_path


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Stop the servers that are entered here when the test ends."""
    with ExitStack() as running:
        yield running


@pytest.fixture
def names(servers: ExitStack, tmp_path: Path) -> ChallengeTestServer:
    """The DNS server; names are unknown until a test points them somewhere."""
    return servers.enter_context(ChallengeTestServer(tmp_path / "names"))


@pytest.fixture
def pebble(servers: ExitStack, names: ChallengeTestServer, tmp_path: Path) -> Pebble:
    """A CA."""
    return servers.enter_context(Pebble(tmp_path / "pebble", dns_server=names.address))


@pytest.fixture
def gatecert(
    servers: ExitStack,  # noqa: ARG001 - they must end later
    tmp_path: Path,
) -> Iterator[Gatecert]:
    """A configuration without CA and gateways; a daemon started from it is stopped."""
    command = Gatecert(tmp_path / "gatecert")
    yield command
    command.__exit__(None, None, None)


# ------------------------------------------------------------------ the count


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARKER}(what): what an attacker tries, in one line")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    marker = item.get_closest_marker(MARKER)
    if marker is not None and (report.when == "call" or not report.passed):
        report.user_properties.append((MARKER, str(marker.args[0])))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    told = [str(what) for name, what in report.user_properties if name == MARKER]
    if told:
        COUNT.add(told[-1], report)


@dataclass
class Count:
    """The attacks of this run: for each, whether all its tests passed."""

    failed: dict[str, bool]

    def add(self, what: str, report: pytest.TestReport) -> None:
        """Note the result of a test."""
        self.failed[what] = self.failed.get(what, True) and report.passed

    def write(self, directory: Path) -> None:
        """Add the results to those of other runs."""
        of = {
            "tried": list(self.failed),
            "succeeded": [what for what, failed in self.failed.items() if not failed],
        }
        for kind, lines in of.items():
            (directory / f"{os.getpid()}.{kind}").write_text("".join(f"{line}\n" for line in lines))


COUNT = Count({})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not COUNT.failed:
        return
    terminalreporter.section("attacks")
    for what, failed in COUNT.failed.items():
        terminalreporter.write_line(f"{'failed   ' if failed else 'SUCCEEDED'}  {what}")
    if directory := os.environ.get("GATECERT_ATTACKS"):
        COUNT.write(Path(directory))
