"""Fixtures of the tests with a booted machine."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gatecert
from harness.challenge_test_server import ChallengeTestServer
from harness.machine.booted import Finished, Machine
from harness.machine.site import HOSTNAME, Site
from harness.pebble import Pebble, PebbleOptions, PebblePorts

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parents[2]
SUITES = ("bookworm", "trixie")
PACKAGE = "/root/gatecert.deb"
INSTALL = ("apt-get", "install", "--yes", "--quiet", PACKAGE)


@dataclass(frozen=True, slots=True)
class Installed:
    """A root file system with the package installed.

    Attributes:
        layers: From the uppermost.
        result: Result of the command.
        seconds: Its duration.
    """

    suite: str
    layers: tuple[Path, ...]
    result: Finished
    seconds: float


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--suite", action="append", choices=SUITES, help="on this Debian only")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "on_one_debian: what no release of Debian does differently")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    dropped = [
        item
        for item in items
        if item.get_closest_marker("on_one_debian") and f"[{SUITES[0]}" not in item.name
    ]
    items[:] = [item for item in items if item not in dropped]
    config.hook.pytest_deselected(items=dropped)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "installed" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("suite") or SUITES
        metafunc.parametrize("installed", chosen, indirect=True, scope="session")


class Figures:
    """Measurements, printed at the end of the run."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, what: str, value: float, unit: str = " s") -> None:
        self.lines.append(f"{what}: {value:.3g}{unit}")


FIGURES = Figures()


@pytest.fixture(scope="session")
def figures() -> Figures:
    """Figures that are printed at the end of the run."""
    return FIGURES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES.lines:
        terminalreporter.section("figures")
        for line in FIGURES.lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def package() -> Path:
    """The package from `make deb`."""
    (found,) = (PROJECT / "dist").glob(f"gatecert_{gatecert.__version__}_*.deb")
    return found


@pytest.fixture(scope="session")
def installed(
    request: pytest.FixtureRequest, package: Path, tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    """A running Debian on which one command has installed the package."""
    suite = str(request.param)
    made = subprocess.run(
        [PROJECT / "tests/systemd/root", suite], check=True, capture_output=True, text=True
    )
    base = Path(made.stdout.strip())
    with Machine([base], tmp_path_factory.mktemp(suite)) as machine:
        shutil.copy(package, machine.root / PACKAGE.lstrip("/"))
        machine.boot()
        started = time.monotonic()
        result = machine.run(*INSTALL)
        seconds = time.monotonic() - started
        machine.power_off()
    return Installed(suite, (machine.changes, base), result, seconds)


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Stop the servers that are entered here when the test ends."""
    with ExitStack() as running:
        yield running


@pytest.fixture
def machine(installed: Installed, servers: ExitStack, tmp_path: Path) -> Machine:
    """A machine with the package installed, powered off."""
    return servers.enter_context(Machine(installed.layers, tmp_path / "machine"))


@pytest.fixture
def site(machine: Machine, servers: ExitStack, tmp_path: Path) -> Site:
    """The machine, configured but still off; its name points nowhere."""
    names = servers.enter_context(ChallengeTestServer(tmp_path / "names"))
    pebble = servers.enter_context(
        Pebble(
            tmp_path / "pebble",
            dns_server=names.address,
            ports=PebblePorts(http01=80, tls_alpn01=443),
            options=PebbleOptions(rejected_nonces=0, reused_authorizations=0),
        )
    )
    site = Site(machine, pebble, names)
    site.set_up()
    return site


@pytest.fixture
def enrolled(site: Site) -> Site:
    """The running machine, with a trusted certificate in service."""
    site.names.point(HOSTNAME, "127.0.0.1")
    site.machine.boot()
    site.wait_trusted()
    site.wait_settled()
    return site
