"""Rolled out: a new version goes to the hosts of a cluster ring by ring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gatecert.model.fleet import FleetHalt


@dataclass(frozen=True, slots=True)
class HostReport:
    """The state of a generation on another host of the cluster, as reported.

    Attributes:
        host: Its name.
        ring: Hosts of ring 1 install first.
        is_live: Whether it has given a sign of life lately.
        is_passed: Whether later rings need not wait for it: its listeners are proven to serve the
            generation, or the operator has resumed the fleet since it was rolled back there.
        roll_back: Why it was rolled back there, one line; empty if it was not, or if the operator
            has resumed the fleet since.
    """

    host: str
    ring: int
    is_live: bool
    is_passed: bool
    roll_back: str = ""


@dataclass(frozen=True, slots=True)
class RollOut:
    """The progress of the newest generation on the hosts of a cluster.

    Attributes:
        generation: Its number.
        written: When it was written for all hosts, by the server's clock.
        is_urgent: Whether it replaces a revoked certificate.
        ring: That of this host.
        others: The other hosts of the cluster.
        halt: Whether the whole fleet has stopped.
    """

    generation: int
    written: datetime
    is_urgent: bool
    ring: int
    others: tuple[HostReport, ...]
    halt: FleetHalt


@dataclass(frozen=True, slots=True)
class RollOutWait:
    """The reason why a host does not install a generation yet.

    Attributes:
        generation: Its number.
        until: When it is installed at the latest.
        reason: One line.
        fix: What to do about it, one line.
    """

    generation: int
    until: datetime
    reason: str
    fix: str
