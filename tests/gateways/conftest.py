"""Fixtures that follow the pages of docs/gateways as written, as root without systemd."""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import yaml

from harness.challenge_test_server import ChallengeTestServer
from harness.gatecert import Gatecert
from harness.handshake import served_certificate
from harness.neighbour import Neighbour, run
from harness.pebble import Pebble, PebbleOptions, PebblePorts
from harness.process import SEARCH_PATH

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parents[2]
PAGES = PROJECT / "docs" / "gateways"
BOSTON = "boston"
HOSTNAME = "boston-njndubu.dynamic-m.com"
STATE = Path("/var/lib/gatecert")
CHANGED = ("/etc", "/var/lib", "/var/log", "/var/spool", "/var/www", "/run", "/usr/local")
BY_HAND = "As root, without systemd"
INSIDE = "203.0.113.1"  # a host behind the gateway


class Tell(Protocol):
    """A function that prints a figure."""

    def __call__(self, line: str) -> None: ...


@dataclass
class Scenario:
    """One page, followed as root without systemd: bootstrap, enrolment, renewal.

    Attributes:
        page: Its name.
    """

    gatecert: Gatecert
    names: ChallengeTestServer
    pebble: Pebble
    page: str
    servers: ExitStack
    renewals: list[float] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """The root that users trust."""
        return self.pebble.root

    def bootstrap(self) -> None:
        """Follow the page until gatecert has written the bootstrap certificate."""
        *before, _ = commands(self.page, BY_HAND)
        for block in before:
            self._follow(block)
        self.gatecert.start()
        self.gatecert.wait_bootstrapped(BOSTON)

    def configure_server(self, *, answers: str = "") -> None:
        """Follow the rest of the page, which configures the server and checks that.

        Args:
            answers: Standard input of the commands.
        """
        self._follow(commands(self.page, BY_HAND)[-1], answers)

    def trust(self) -> None:
        """Point the name here and wait until the certificate is trusted and served."""
        self.names.point(HOSTNAME, "127.0.0.1")
        self.gatecert.wait_for(
            lambda: self.gatecert.state(BOSTON) == "trusted",
            "the gateway to be trusted",
            seconds=30.0,
        )

    def renew(self) -> float:
        """Renew, and return the seconds until the new certificate is verified."""
        before = self.gatecert.certificate(BOSTON)
        begin = time.monotonic()
        result = self.gatecert.run("enroll", "--force", BOSTON)
        seconds = time.monotonic() - begin
        assert result.exit_code == 0, result.errors
        assert self.gatecert.certificate(BOSTON) != before
        assert self.gatecert.state(BOSTON) == "trusted"
        return seconds

    @staticmethod
    def _follow(block: str, answers: str = "") -> None:
        """Run a block of commands, in the source."""
        finished = subprocess.run(
            ["sh", "-ec", block],
            cwd=PROJECT,
            env=dict(os.environ) | {"PATH": SEARCH_PATH},
            input=answers,
            text=True,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
        )
        assert finished.returncode == 0, f"{block}\n{finished.stdout}"


def blocks(page: str, heading: str, language: str) -> list[str]:
    """Return the blocks of a language below a heading of a page."""
    text = (PAGES / f"{page}.md").read_text("utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert found, f"{page}.md has no {language} below {heading!r}"
    return found


def commands(page: str, heading: str) -> list[str]:
    """Return the commands below a heading of a page."""
    return blocks(page, heading, "sh")


def settings(page: str) -> dict[str, Any]:
    """Return a page's settings for gatecert as root without systemd."""
    (shown,) = blocks(page, BY_HAND, "yaml")
    return dict(yaml.safe_load(shown))


class Open(Protocol):
    """A function that opens a page of docs/gateways."""

    def __call__(self, page: str, *, common_name: bool = False) -> Scenario: ...


@pytest.fixture(autouse=True)
def machine(tmp_path: Path) -> Iterator[None]:
    """Make the system's directories writable for the test, and bring up the loopback device."""
    if "GATECERT_PRIVATE_MACHINE" not in os.environ:
        pytest.exit("these tests change the machine they run on: use tests/gateways/run", 2)
    changes = tmp_path / "changes"
    changes.mkdir()
    run("mount", "-t", "tmpfs", "changes", str(changes))
    with ExitStack() as mounted:
        mounted.callback(run, "umount", "--lazy", str(changes))
        for directory in CHANGED:
            layers = changes / directory.strip("/").replace("/", "-")
            upper, work = layers / "upper", layers / "work"
            upper.mkdir(parents=True)
            work.mkdir()
            options = f"lowerdir={directory},upperdir={upper},workdir={work}"
            run("mount", "-t", "overlay", "overlay", "-o", options, directory)
            mounted.callback(run, "umount", "--lazy", directory)
        run("ip", "link", "set", "lo", "up")
        yield


@pytest.fixture
def servers(machine: None) -> Iterator[ExitStack]:  # noqa: ARG001 - servers run on it
    """Stop the servers that are entered here when the test ends."""
    with ExitStack() as running:
        yield running


@pytest.fixture
def open_page(servers: ExitStack, tmp_path: Path) -> Open:
    def open_page(page: str, *, common_name: bool = False) -> Scenario:
        names = servers.enter_context(ChallengeTestServer(tmp_path / "names"))
        pebble = servers.enter_context(
            Pebble(
                tmp_path / "pebble",
                dns_server=names.address,
                options=PebbleOptions(common_name=common_name),
                ports=PebblePorts(http01=80),
            )
        )
        STATE.mkdir(mode=0o711, exist_ok=True)
        gatecert = Gatecert(Path("/etc/gatecert"), state_directory=STATE).use(pebble, names)
        snippet = settings(page)
        if "challenges" in snippet:
            gatecert.configuration["challenges"] = snippet["challenges"]
        for name, keys in snippet["gateways"].items():
            gatecert.add_gateway(name, **keys)
        servers.push(gatecert.__exit__)
        return Scenario(gatecert, names, pebble, page, servers)

    return open_page


class Serves(Protocol):
    """A function that returns True if there is TLS at port 443."""

    def __call__(self) -> bool: ...


@pytest.fixture
def serves() -> Serves:
    def serves() -> bool:
        try:
            return bool(served_certificate("127.0.0.1", 443, HOSTNAME))
        except OSError:
            return False

    return serves


@pytest.fixture
def neighbour(servers: ExitStack, tmp_path: Path) -> Neighbour:
    """The users' host; the network behind the gateway has one host."""
    run("ip", "address", "add", f"{INSIDE}/32", "dev", "lo")
    servers.callback(run, "ip", "address", "delete", f"{INSIDE}/32", "dev", "lo")
    return servers.enter_context(Neighbour(tmp_path / "neighbour"))


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Print a figure, also if output is captured."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def tell(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n    {line}", end="", flush=True)  # noqa: T201 - figures are always shown

    return tell
