"""Floods of the responder: the CA's validation is answered in the middle of them."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.faults.forwarder import LOOPBACK, Forwarder

from harness.pebble import Pebble, PebbleOptions
from harness.ports import free_port
from harness.process import BackgroundProcess

if TYPE_CHECKING:
    from contextlib import ExitStack

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert

GATEWAYS = 40
LEAST_ANSWERED = 0.95
RATE = {"http-01": 1600, "tls-alpn-01": 1000}  # connections a second
LATE = 0.05  # seconds between the CA's connection and its first byte
ONE = ["127.0.0.66"]
MANY = [f"127.0.1.{number}" for number in range(1, 201)]
PROXY = [LOOPBACK]
FLOODING = Path(__file__).with_name("flooding.py")


@pytest.fixture
def pebble(servers: ExitStack, names: ChallengeTestServer, tmp_path: Path) -> Pebble:
    """A CA that takes its time, so that the flood can settle, and connects from 127.0.0.1."""
    options = PebbleOptions(slowest_validation=4, reused_authorizations=0)
    return servers.enter_context(
        Pebble(tmp_path / "pebble", dns_server=names.address, options=options)
    )


@pytest.mark.attack("floods the responder while the CA validates")
@pytest.mark.parametrize(
    ("kind", "sources"),
    [
        pytest.param("http-01", ONE, id="http-01 from one address"),
        pytest.param("tls-alpn-01", ONE, id="tls-alpn-01 from one address"),
        pytest.param("http-01", MANY, id="http-01 from many addresses"),
        pytest.param("http-01", PROXY, id="http-01 through the proxy that the CA comes through"),
    ],
)
def test_validation_succeeds_during_a_flood(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    tmp_path: Path,
    kind: str,
    sources: list[str],
) -> None:
    port, ports = free_port(), pebble.ports
    visited = ports.http01 if kind == "http-01" else ports.tls_alpn01
    gatecert.use(pebble, names)
    gatecert.configuration["challenges"] = {kind: {"listen": [f"{LOOPBACK}:{port}"]}}
    for number in range(GATEWAYS):
        names.point(f"boston-{number}.example.com", LOOPBACK)
        gatecert.add_gateway(f"boston-{number}", f"boston-{number}.example.com", challenge=kind)
    gatecert.write()
    flood = BackgroundProcess(
        [sys.executable, str(FLOODING), kind, LOOPBACK, f"{port}", f"{RATE[kind]}", *sources],
        log=tmp_path / "flood.log",
    )

    with Forwarder(visited, port, late=LATE), flood:
        result = gatecert.run("enroll", seconds=180)
        flood.signal(signal.SIGTERM)
        flood.wait(10)

    answered = sum(gatecert.is_enrolled(f"boston-{number}") for number in range(GATEWAYS))
    accepted, seconds = flood.output.split()[-2:]
    sys.stdout.write(
        f"{kind}: {answered} of {GATEWAYS} answered;"
        f" {accepted} hostile connections in {seconds} s\n"
    )
    assert answered >= LEAST_ANSWERED * GATEWAYS, result.errors
