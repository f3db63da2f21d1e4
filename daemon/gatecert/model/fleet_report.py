"""The report of the follower on fleet and cluster, which the monitor shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from gatecert.model.fleet import FleetHalt


@dataclass(frozen=True, slots=True)
class FleetReport:
    """A fleet as the follower has seen it last.

    Attributes:
        since: Since when the database can be used, or cannot, as far as the follower knows.
        problem: Why it cannot be used, one line; empty if it can.
        fix: What to do about that.
        hosts: Number of hosts of the cluster.
        silent: Those that give no sign of life.
        behind: Gateways whose newest certificate this host is not proven to serve.
        in_flight: Orders of the cluster in progress: by the URL of the CA's directory as read, by
            the name of the CA in the configuration as told.
    """

    since: datetime
    problem: str = ""
    fix: str = ""
    hosts: int = 0
    silent: tuple[str, ...] = ()
    behind: int = 0
    in_flight: dict[str, int] = field(default_factory=dict)
    halt: FleetHalt = field(default_factory=FleetHalt)

    @property
    def is_up(self) -> bool:
        """True if the database can be used."""
        return not self.problem
