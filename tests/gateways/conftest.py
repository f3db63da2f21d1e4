"""Fixtures that run the snippets of docs/gateways as written."""

from __future__ import annotations

import os
import shutil
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

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parents[2]
PAGES = PROJECT / "docs" / "gateways"
BOSTON = "boston"
HOSTNAME = "boston-njndubu.dynamic-m.com"
STATE = Path("/var/lib/gatecert")
PROGRAMS = Path("/usr/local/lib/gatecert")
CHANGED = ("/etc", "/var/lib", "/var/log", "/var/www", "/run", "/usr/local")
INSIDE = "203.0.113.1"  # a host behind the gateway


class Tell(Protocol):
    """A function that prints a figure."""

    def __call__(self, line: str) -> None: ...


@dataclass
class Scenario:
    """The snippets of one page: bootstrap certificate served, trusted certificate served, renewed.

    Attributes:
        page: The folder of the page's snippets.
    """

    gatecert: Gatecert
    names: ChallengeTestServer
    pebble: Pebble
    page: Path
    servers: ExitStack
    renewals: list[float] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """The root that users trust."""
        return self.pebble.root

    def bring(self, name: str, destination: str, *, mode: int = 0o644) -> Path:
        """Install a file of the page where the page says."""
        path = Path(destination)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.page / name, path)
        path.chmod(mode)
        return path

    def bootstrap(self) -> None:
        """Start gatecert and wait for the bootstrap certificate."""
        self.gatecert.start()
        self.gatecert.wait_bootstrapped(BOSTON)

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


def settings(page: str) -> dict[str, Any]:
    """Return a page's settings for gatecert as root without systemd."""
    files = [PAGES / page / name for name in ("gatecert.yaml", "by-hand.yaml")]
    snippet, *rest = (yaml.safe_load(file.read_text("utf-8")) for file in files if file.exists())
    for more in rest:
        for name, keys in more["gateways"].items():
            snippet["gateways"][name]["install"] |= keys["install"]
    return dict(snippet)


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
        return Scenario(gatecert, names, pebble, PAGES / page, servers)

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
