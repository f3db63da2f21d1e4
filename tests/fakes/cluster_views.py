"""Clusters as a host sees them in the fleet's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.clock import START

from gatecert.model import DeploymentOutcome
from gatecert.model.cluster_view import (
    ClusterHost,
    ClusterView,
    GatewayRollout,
    HostDeployment,
)
from gatecert.model.fleet import FleetHalt
from gatecert.model.fleet_overview import DatabaseFacts

if TYPE_CHECKING:
    from datetime import datetime

NEWEST = 12  # generation
DATABASE = DatabaseFacts("db1:5432", synchronous=True, schema=1, replicated=True)


def host(name: str, seen: datetime | None = START) -> ClusterHost:
    """Return a host of the cluster."""
    return ClusterHost(name, 1, seen)


def deployed(
    name: str,
    outcome: DeploymentOutcome = DeploymentOutcome.PROVEN,
    generation: int = NEWEST,
    reason: str = "",
) -> HostDeployment:
    """Return how a host fares with a generation."""
    return HostDeployment(name, generation, outcome, reason, START)


def view(
    hosts: tuple[ClusterHost, ...],
    *deployments: HostDeployment,
    gateway: str = "vpn",
    created: datetime = START,
    halt: FleetHalt | None = None,
    at: datetime = START,
) -> ClusterView:
    """Return a cluster with one gateway."""
    return ClusterView(
        at=at,
        own="gw-a",
        database=DATABASE,
        excess=(),
        hosts=hosts,
        halt=halt or FleetHalt(),
        rollouts={gateway: GatewayRollout(NEWEST, created, deployments)},
    )
