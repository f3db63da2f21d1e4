"""Values of the overview of a fleet: what ``gatecert fleet status`` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from gatecert.model.fleet import FleetHalt


class FleetState(StrEnum):
    """The state of a gateway as the database knows it; each has one, the first that applies."""

    EXPIRED = "expired"
    REVOKED = "revoked"
    ROLLED_BACK = "rolled-back"
    """A host does not serve the newest certificate."""
    RENEWING = "renewing"
    WAITING = "waiting"
    """For the first certificate of a CA."""
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """The database of a fleet.

    Attributes:
        server: As in the configuration or the login.
        synchronous: Whether a COMMIT waits for a standby.
        replicated: Whether a standby follows.
        schema: Number of its schema.
    """

    server: str
    synchronous: bool
    schema: int
    replicated: bool


@dataclass(frozen=True, slots=True)
class EndingGateway:
    """The gateway whose certificate ends next.

    Attributes:
        failures: Failed orders in a row.
    """

    cluster: str
    name: str
    not_after: datetime
    failures: int


@dataclass(frozen=True, slots=True)
class LimitUse:
    """The requests that a rate limit counts together.

    Attributes:
        limit: A key of ``authorities.NAME.limits``.
        value: The registered domain or account.
        used: How many count now.
    """

    limit: str
    value: str
    used: int


@dataclass(frozen=True, slots=True)
class AuthorityUse:
    """A CA as the whole fleet uses it.

    Attributes:
        in_flight: Orders in progress.
        not_before: No order before, as the CA demands; None if it demands nothing.
        fullest: The fullest group of each limit that has any.
    """

    directory_url: str
    in_flight: int
    not_before: datetime | None = None
    fullest: tuple[LimitUse, ...] = ()


@dataclass(frozen=True, slots=True)
class SilentHost:
    """A host that gives no sign of life.

    Attributes:
        seen: The last one; None if there was none.
    """

    cluster: str
    name: str
    seen: datetime | None


@dataclass(frozen=True, slots=True)
class FleetOverview:
    """A fleet, or the cluster that a host may see.

    Attributes:
        at: The server's time.
        cluster: The cluster; empty for the whole fleet.
        states: Number of gateways in each state.
        ends_next: None if no certificate is valid.
        due: Number of orders that become due on each day (UTC); overdue ones are due today.
        first_orders: Gateways without a certificate for which no order is in progress.
        authorities: Those that were used.
        hosts: Number of hosts.
        silent: Number of silent hosts.
        silent_hosts: Those that are silent for the longest.
        halt: Whether the fleet is paused or braked.
    """

    at: datetime
    database: DatabaseFacts
    cluster: str
    states: Mapping[FleetState, int]
    ends_next: EndingGateway | None
    due: Mapping[date, int]
    first_orders: int
    authorities: tuple[AuthorityUse, ...]
    hosts: int
    silent: int
    silent_hosts: tuple[SilentHost, ...]
    halt: FleetHalt

    @property
    def gateways(self) -> int:
        """Number of gateways."""
        return sum(self.states.values())

    @property
    def due_today(self) -> int:
        """Number of orders that are due until the end of this day."""
        return self.due.get(self.at.date(), 0)

    @property
    def busiest_day(self) -> tuple[date, int] | None:
        """The day on which most orders become due, and their number; None without any."""
        return max(self.due.items(), key=lambda each: each[1], default=None)
