"""Values of what a host sees of its cluster in the fleet's database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gatecert.model.fleet import SILENT_AFTER, FleetHalt
from gatecert.model.fleet_overview import DatabaseFacts
from gatecert.model.installation import DeploymentOutcome


@dataclass(frozen=True, slots=True)
class ClusterHost:
    """A host of the cluster.

    Attributes:
        ring: Its ring in a roll-out.
        seen: Its last sign of life; None if there was none.
        twice: When two daemons were last found to sign with its name; None if they never were.
    """

    name: str
    ring: int
    seen: datetime | None
    twice: datetime | None = None

    def is_silent(self, now: datetime) -> bool:
        """Tell whether it gives no sign of life; ``now`` is the server's time."""
        return self.seen is None or now - self.seen >= SILENT_AFTER

    def is_twice(self, now: datetime) -> bool:
        """Tell whether two daemons sign with its name; ``now`` is the server's time."""
        return self.twice is not None and now - self.twice < SILENT_AFTER


@dataclass(frozen=True, slots=True)
class HostDeployment:
    """Deployment of the newest generation that a host has tried.

    Attributes:
        reason: Why it is not served, one line; empty if it is.
        at: Since when.
    """

    host: str
    generation: int
    outcome: DeploymentOutcome
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class GatewayRollout:
    """The newest certificate of a gateway, and how the hosts fare with it.

    Attributes:
        generation: Zero if there is none yet.
        created: When a host has shared it; None if there is none.
    """

    generation: int
    created: datetime | None = None
    deployments: tuple[HostDeployment, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A cluster as one of its hosts sees it.

    Attributes:
        at: The server's time.
        own: Name of the host that looks.
        excess: What its role may do although no host needs it, in words; empty is right.
        rollouts: By the name of the gateway; without those that no host has shared anything of.
        unopened: Gateways whose newest key no sealing key of this host opens.
    """

    at: datetime
    own: str
    database: DatabaseFacts
    excess: tuple[str, ...]
    hosts: tuple[ClusterHost, ...]
    halt: FleetHalt
    rollouts: Mapping[str, GatewayRollout]
    unopened: tuple[str, ...] = ()

    @property
    def silent(self) -> tuple[ClusterHost, ...]:
        """The hosts that give no sign of life."""
        return tuple(host for host in self.hosts if host.is_silent(self.at))
