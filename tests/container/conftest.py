"""Fixtures that run the files of container/ as written."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import yaml

from harness.challenge_test_server import ChallengeTestServer
from harness.compose import Compose
from harness.container import Container, Podman, Sidecar
from harness.handshake import RequestLoop, served_certificate
from harness.neighbour import run
from harness.pebble import Pebble, PebbleOptions, PebblePorts
from harness.pod import Pod

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = Path(__file__).resolve().parents[2] / "container"
BOSTON = "boston"
HOSTNAME = "boston-njndubu.dynamic-m.com"
PORT = 8443
USER = 1000


class Tell(Protocol):
    """A function that prints a figure."""

    def __call__(self, line: str) -> None: ...


@dataclass
class Outside:
    """The environment of the containers: names, a CA, and its root."""

    names: ChallengeTestServer
    pebble: Pebble

    @property
    def mounted(self) -> str:
        """The podman options that give a container access to it."""
        directory = self.pebble.root.parent
        return f"--volume={directory}:{directory}:ro"

    def adapt(self, configuration: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration with this environment's CA, resolver and address."""
        configuration["authorities"] = {
            "pebble": {
                "directory_url": self.pebble.directory_url,
                "contact": ["ops@example.com"],
                "terms_of_service_agreed": True,
                "ca_bundle": str(self.pebble.https_certificate),
                "trusted_roots": str(self.pebble.root),
            }
        }
        configuration["resolver"] = {"nameservers": [self.names.address], "interval": "1s"}
        configuration["gateways"][BOSTON]["addresses"] = ["127.0.0.1"]
        return configuration

    def served(self, *, trusted: bool = False) -> bytes | None:
        """Return the leaf that the gateway serves, DER; None if there is none (that is trusted)."""
        root = self.pebble.root if trusted else None
        try:
            return served_certificate("127.0.0.1", PORT, HOSTNAME, trusted=root)
        except OSError:
            return None


@dataclass
class Pair:
    """A gateway and its sidecar."""

    outside: Outside
    sidecar: Sidecar
    gateway: Container

    def trust(self) -> float:
        """Point the name here and wait until the certificate is served; return the seconds."""
        begin = time.monotonic()
        self.outside.names.point(HOSTNAME, "127.0.0.1")
        self.sidecar.wait_for(
            lambda: self.outside.served(trusted=True), "a trusted certificate", interval=0.02
        )
        seconds = time.monotonic() - begin
        self.wait_settled()
        return seconds

    def wait_settled(self) -> None:
        """Wait until gatecert has verified the served certificate."""
        self.sidecar.wait_for(lambda: self.sidecar.is_trusted(BOSTON), "gatecert to be content")

    def renew(self) -> tuple[float, RequestLoop]:
        """Renew while users send requests; return the seconds until verified, and their results."""
        before = self.sidecar.certificate(BOSTON)
        root = self.outside.pebble.root
        with RequestLoop("127.0.0.1", PORT, HOSTNAME, interval=0.01, trusted=root) as requests:
            requests.wait_for_leaves(1)
            begin = time.monotonic()
            ended = self.sidecar.command_line("enroll", "--force", BOSTON)
            seconds = time.monotonic() - begin
            requests.wait_for_leaves(2)
        assert ended.exit_code == 0, ended.errors
        assert self.sidecar.certificate(BOSTON) != before
        assert self.sidecar.is_trusted(BOSTON)
        assert requests.failures == []
        return seconds, requests


@pytest.fixture(autouse=True, scope="session")
def machine() -> None:
    """Bring up the loopback device of this network namespace."""
    if "GATECERT_PRIVATE_MACHINE" not in os.environ:
        pytest.exit("these tests need a network of their own: use tests/container/run", 2)
    run("ip", "link", "set", "lo", "up")


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as running:
        yield running


@pytest.fixture
def outside(servers: ExitStack, tmp_path: Path) -> Outside:
    """Start an environment without addresses; port 80 of the name is 8080 here, as published."""
    names = servers.enter_context(ChallengeTestServer(tmp_path / "names"))
    pebble = servers.enter_context(
        Pebble(
            tmp_path / "pebble",
            dns_server=names.address,
            options=PebbleOptions(rejected_nonces=0, reused_authorizations=0),
            ports=PebblePorts(http01=8080),
        )
    )
    return Outside(names, pebble)


@pytest.fixture
def podman(servers: ExitStack) -> Podman:
    return servers.enter_context(Podman())


@pytest.fixture
def compose(podman: Podman, outside: Outside, tmp_path: Path) -> Compose:
    """Return container/compose.yaml, with copies of the files that it mounts.

    As in any clone, they belong to the user who cloned, neither to root nor to gatecert.
    """
    directory = tmp_path / "project"
    shutil.copytree(FILES, directory)
    settings = directory / "compose-gatecert.yaml"
    configuration = outside.adapt(yaml.safe_load(settings.read_text("utf-8")))
    settings.write_text(yaml.safe_dump(configuration), "utf-8")
    os.chown(settings, USER, USER)
    document = yaml.safe_load((directory / "compose.yaml").read_text("utf-8"))
    return Compose(podman, document, directory, outside.mounted)


@pytest.fixture
def pod(podman: Podman, outside: Outside, tmp_path: Path) -> Pod:
    """Return container/pod.yaml."""
    documents = list(yaml.safe_load_all((FILES / "pod.yaml").read_text("utf-8")))
    by_kind = {document["kind"]: document for document in documents}
    settings = dict(by_kind["ConfigMap"]["data"])
    configuration = outside.adapt(yaml.safe_load(settings["config.yaml"]))
    settings["config.yaml"] = yaml.safe_dump(configuration)
    return Pod(podman, by_kind["Pod"]["spec"], settings, tmp_path / "pod", outside.mounted)


def begin_compose(compose: Compose, podman: Podman, outside: Outside) -> Pair:
    """Start both services in the order of the file."""
    sidecar = compose.sidecar("gatecert").start()
    assert compose.waits_for_health_of("gateway") == ["gatecert"]
    sidecar.wait_for(lambda: sidecar.is_healthy, "gatecert to be healthy")
    sidecar.state = podman.volume("gatecert")
    gateway = compose.service("gateway").start()
    gateway.wait_for(outside.served, "the gateway to serve", interval=0.02)
    return Pair(outside, sidecar, gateway)


def begin_pod(pod: Pod, outside: Outside) -> Pair:
    """Start both containers in the order of a node."""
    sidecar = pod.sidecar().start()
    probe = pod.startup_probe()
    sidecar.wait_for(lambda: sidecar.execute(*probe).exit_code == 0, "gatecert to start up")
    gateway = pod.gateway().start()
    gateway.wait_for(outside.served, "the gateway to serve", interval=0.02)
    return Pair(outside, sidecar, gateway)


@pytest.fixture(params=["compose", "pod"])
def pair(request: pytest.FixtureRequest, podman: Podman, outside: Outside) -> Pair:
    """Start what one file of container/ describes."""
    if request.param == "pod":
        return begin_pod(request.getfixturevalue("pod"), outside)
    return begin_compose(request.getfixturevalue("compose"), podman, outside)


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Print a figure, also if output is captured."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def tell(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n    {line}", end="", flush=True)  # noqa: T201 - figures are always shown

    return tell
