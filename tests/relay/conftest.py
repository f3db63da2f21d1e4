"""A relay and a gateway, each in a network of its own, as docs/relay.md sets them up."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from harness.network import PrivateNetwork
from harness.pebble import PebbleOptions

from .issuing_fleet import FleetRelay, IssuingFleet
from .relay_network import (
    GATEWAY_ADDRESS,
    HOSTS,
    RELAY_ADDRESS,
    FieldGateway,
    GatewayCredentials,
    Relay,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def credentials(tmp_path: Path) -> GatewayCredentials:
    return GatewayCredentials(tmp_path / "credentials")


@pytest.fixture
def relay(tmp_path: Path, credentials: GatewayCredentials) -> Iterator[Relay]:
    with PrivateNetwork(tmp_path / "at-relay"), Relay(tmp_path / "relay", credentials) as relay:
        yield relay


@pytest.fixture
def pebble_options() -> PebbleOptions:
    """Return the options of the fleet's CA."""
    return PebbleOptions(reused_authorizations=0)


@pytest.fixture
def fleet(tmp_path: Path, pebble_options: PebbleOptions) -> Iterator[IssuingFleet]:
    """Return the fleet that orders for a relay, in the relay's network."""
    with (
        PrivateNetwork(tmp_path / "at-relay"),
        IssuingFleet(tmp_path / "fleet", pebble_options) as fleet,
    ):
        yield fleet


@pytest.fixture
def fleet_relay(
    tmp_path: Path, fleet: IssuingFleet, credentials: GatewayCredentials
) -> Iterator[FleetRelay]:
    with FleetRelay(tmp_path / "relay", credentials, fleet) as relay:
        yield relay


@pytest.fixture
def fleet_field(
    tmp_path: Path, fleet_relay: FleetRelay, credentials: GatewayCredentials
) -> Iterator[FieldGateway]:
    """Return a gateway that reaches nothing but the relay in front of the fleet."""
    yield from in_field(tmp_path, fleet_relay, credentials)


@pytest.fixture
def field(tmp_path: Path, relay: Relay, credentials: GatewayCredentials) -> Iterator[FieldGateway]:
    """Return a gateway that reaches nothing but the relay."""
    yield from in_field(tmp_path, relay, credentials)


def in_field(
    tmp_path: Path, relay: Relay, credentials: GatewayCredentials
) -> Iterator[FieldGateway]:
    network = PrivateNetwork(tmp_path / "in-field", hosts=HOSTS)
    with network, ExitStack() as servers:
        network.connect(
            relay.web.process.pid, here=f"{GATEWAY_ADDRESS}/24", there=f"{RELAY_ADDRESS}/24"
        )
        yield FieldGateway(tmp_path / "field", network, relay, credentials, servers)
