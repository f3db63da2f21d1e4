"""Daemons of two clusters that share a CA: its pause holds for both, and so does each turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.faults.proxy.faults import Answer
from tests.faults.proxy.server import FaultProxy

from harness.challenge_test_server import ChallengeTestServer
from harness.pebble import Pebble, PebbleOptions

from .configured_host import configured_host

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack
    from pathlib import Path

    from harness.gatecert import Gatecert

    from .conftest import FleetDatabase

ADDRESSES = {"hq-gw-a": "127.0.0.1", "lab-gw-a": "127.0.0.2"}
GATEWAYS = ("vpn",)
PAUSE = 10  # seconds
LONGEST = 90.0  # seconds
STEPS = ("new-order", "certificate")  # begin and end of an order


@pytest.fixture
def names(servers: ExitStack, tmp_path: Path) -> ChallengeTestServer:
    return servers.enter_context(ChallengeTestServer(tmp_path / "names"))


@pytest.fixture
def pebble(servers: ExitStack, tmp_path: Path, names: ChallengeTestServer) -> Pebble:
    """A CA that takes its time, so that orders without turns would meet."""
    options = PebbleOptions(rejected_nonces=0, reused_authorizations=0, slowest_validation=2)
    return servers.enter_context(
        Pebble(tmp_path / "pebble", dns_server=names.address, options=options)
    )


@pytest.fixture
def proxy(servers: ExitStack, tmp_path: Path, pebble: Pebble) -> FaultProxy:
    """The CA as the hosts see it."""
    made = FaultProxy(
        tmp_path / "proxy",
        upstream=pebble.base_url,
        upstream_certificate=pebble.https_certificate,
    )
    return servers.enter_context(made)


@pytest.fixture
def hosts(
    servers: ExitStack,
    tmp_path: Path,
    database: FleetDatabase,
    names: ChallengeTestServer,
    pebble: Pebble,
    proxy: FaultProxy,
) -> Sequence[Gatecert]:
    """A host of each cluster, with a gateway each, and one order at a time in all."""
    made = []
    for role, address in ADDRESSES.items():
        host = configured_host(database, role, tmp_path)
        host.configuration |= {"authorities": {}, "gateways": {}}
        host.use(
            pebble,
            names,
            directory_url=proxy.directory_url,
            ca_bundle=str(proxy.https_certificate),
            most_orders=1,
        )
        listen = {"listen": [f"{address}:{pebble.ports.http01}"]}
        host.configuration["challenges"]["http-01"] = listen
        for gateway in GATEWAYS:
            hostname = f"{gateway}.{role}.example.com"
            names.point(hostname, address)
            host.add_gateway(gateway, hostname, addresses=[address])
        servers.push(host.__exit__)
        made.append(host.write())
    return made


def test_the_pause_and_the_turns_of_a_ca_hold_for_all_clusters(
    hosts: Sequence[Gatecert], proxy: FaultProxy, pebble: Pebble
) -> None:
    proxy.rules.add(
        "new-order", Answer(429, "rateLimited", "slow down", retry_after=PAUSE), times=1
    )
    for host in hosts:
        host.start()
    for host in hosts:
        for gateway in GATEWAYS:
            host.wait_enrolled(gateway, seconds=LONGEST)

    refused, *placed = proxy.rules.journal("new-order")
    assert placed[0].at - refused.at >= PAUSE
    steps = [entry.where for entry in proxy.rules.journal() if entry.where in STEPS]
    assert steps[1:] == list(STEPS) * 2
    assert (pebble.orders(), pebble.certificates()) == (2, 2)
