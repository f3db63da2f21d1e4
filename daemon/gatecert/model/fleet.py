"""Values of a fleet: a host's place in it, and what the urgent may use before others."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gatecert.model.limits import RateLimit
from gatecert.time_format import instant

if TYPE_CHECKING:
    from gatecert.model.limits import Limits

KEPT_SHARE: Final = 10  # one part in so many of each limit is kept for urgent orders
HEARTBEAT: Final = timedelta(seconds=30)  # between two signs of life of a host
SILENT_AFTER: Final = timedelta(minutes=2)  # without a sign of life, a host is not live any more
LONGEST_PERIOD: Final = timedelta(days=35)  # of a limit; the database removes older requests
ENDS_SOON: Final = timedelta(days=1)  # what ends so soon goes on while the fleet is halted


class Priority(IntEnum):
    """The order in which gateways get what they share; the lowest goes first."""

    REVOKED = 0
    ENDING = 1
    """Ended, or under a tenth of the lifetime left."""
    NONE = 2
    """No certificate of a CA yet, or not for all of its names."""
    RENEWAL = 3

    @property
    def is_urgent(self) -> bool:
        """True if it may use what is kept of each limit."""
        return self <= Priority.ENDING


@dataclass(frozen=True, slots=True)
class Urgency:
    """The urgency of the next order of a gateway.

    Attributes:
        priority: As of now.
        not_after: End of the certificate in use; None without one.
        ending_from: When the priority becomes `Priority.ENDING` unless it is more urgent by then;
            None without a certificate in use.
    """

    priority: Priority
    not_after: datetime | None = None
    ending_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Replacement:
    """An order that replaces a certificate, for which its CA grants an exemption (RFC 9773).

    Attributes:
        authority: Name of the CA in the configuration.
        certificate_id: CertID of the certificate.
        names: Those of the order.
    """

    authority: str
    certificate_id: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatabaseLogin:
    """The login of a host to the database of its fleet, by a client certificate.

    Attributes:
        hosts: Servers, each with its port; the one that can be written to is used.
        name: Name of the database.
        user: Role; PostgreSQL compares it with the common name of the certificate.
        certificate: PEM file with the client certificate.
        key: PEM file with its key.
        ca_bundle: PEM file with the roots that the servers' certificates must end in.
    """

    hosts: tuple[tuple[str, int], ...]
    name: str
    user: str
    certificate: Path
    key: Path
    ca_bundle: Path


@dataclass(frozen=True, slots=True)
class FleetHost:
    """A host's place in a fleet.

    Attributes:
        cluster: The hosts that share names.
        host: The host's own name in the cluster.
        ring: New certificates go to the hosts of ring 1 first.
        sealing_keys: Files with Fernet keys; the first seals, all of them open.
        reserve: How many orders of a gateway may be reserved for the time without the database.
    """

    database: DatabaseLogin
    cluster: str
    host: str
    ring: int
    sealing_keys: tuple[Path, ...]
    reserve: int


@dataclass(frozen=True, slots=True)
class FleetHalt:
    """A stop of orders and deployments of the whole fleet, or none.

    Attributes:
        paused_since: By ``gatecert fleet pause``; None if it is not paused.
        brake_since: Because too many deployments were rolled back; None if the brake is off.
        brake_reason: Which, one line; empty if the brake is off.
        pause_reason: Why it is paused, one line; may be empty.
    """

    paused_since: datetime | None = None
    brake_since: datetime | None = None
    brake_reason: str = ""
    pause_reason: str = ""

    @property
    def since(self) -> datetime | None:
        """The first instant from which it has been halted; None if it is not."""
        starts = (self.paused_since, self.brake_since)
        return min((each for each in starts if each is not None), default=None)

    @property
    def words(self) -> str:
        """By what it has been halted, and since when; empty if it is not."""
        words = []
        if self.paused_since is not None:
            reason = f": {self.pause_reason}" if self.pause_reason else ""
            words.append(f"the fleet has been paused since {instant(self.paused_since)}{reason}")
        if self.brake_since is not None:
            reason = f": {self.brake_reason}" if self.brake_reason else ""
            words.append(f"the fleet's brake has been on since {instant(self.brake_since)}{reason}")
        return "; ".join(words)

    def stops(self, not_after: datetime | None, now: datetime) -> bool:
        """Tell whether a gateway has to wait.

        Args:
            not_after: End of the certificate in use; None without one, which waits as well.
            now: Aware UTC.
        """
        if self.since is None:
            return False
        return not_after is None or not_after - now > ENDS_SOON


def usable(count: int, priority: Priority) -> int:
    """Return how much of a count a priority may use.

    A tenth, rounded up, is kept for urgent orders. Of a count of one nothing is kept, since nobody
    would ever get a first certificate.
    """
    kept = 0 if priority.is_urgent else -(-count // KEPT_SHARE)
    return max(count - kept, min(count, 1))


def usable_limits(limits: Limits, priority: Priority) -> Limits:
    """Return the rate limits up to which a priority may order (`usable`)."""
    allowances = {field.name: getattr(limits, field.name) for field in fields(limits)}
    lowered: dict[str, Any] = {
        name: replace(allowance, count=usable(allowance.count, priority))
        for name, allowance in allowances.items()
        if isinstance(allowance, RateLimit)
    }
    return replace(limits, **lowered)


def free_turns(most_orders: int, in_progress: int, priority: Priority) -> int:
    """Return how many further orders of a priority may be in progress at one CA.

    Args:
        most_orders: Orders in progress at the same time, by all hosts together.
        in_progress: Orders in progress now.
        priority: That of the orders to start.
    """
    return max(0, usable(most_orders, priority) - in_progress)
