"""The monitor's knowledge of the daemon and its gateways; changed and read in one event loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gatecert.model.fleet_report import FleetReport
from gatecert.report.gateway_status import GatewayStatus, LastError
from gatecert.report.monitoring_status import MonitoringStatus

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class Overview:
    """The knowledge of the monitor.

    Attributes:
        daemon: Process id of the core; None before it has said so.
        ready: Whether every gateway has something to serve, as the service manager is told.
        order: The gateways of the configuration in force, in its order.
        names: The same, for look-ups.
        statuses: The status of each gateway that was described, by name.
        unreadable: Why the status of a gateway could not be read, by name.
        monitoring: How listeners and receivers are.
        fleet: What the follower has reported last; None without a fleet.
        number: Grows with every change.
    """

    daemon: int | None = None
    ready: bool = False
    order: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    statuses: dict[str, GatewayStatus] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    monitoring: MonitoringStatus = field(default_factory=MonitoringStatus)
    fleet: FleetReport | None = None
    number: int = 0
    _waiting: set[asyncio.Future[None]] = field(default_factory=set)

    @property
    def complete(self) -> bool:
        """True once the daemon is ready and every gateway was described."""
        return self.ready and len(self.statuses) == len(self.names)

    @property
    def described(self) -> tuple[GatewayStatus, ...]:
        """The statuses that are known, in the order of the configuration."""
        return tuple(self.statuses[name] for name in self.order if name in self.statuses)

    def keep(self, names: Iterable[str]) -> set[str]:
        """Know these gateways; return those that are known no longer."""
        self.order = tuple(names)
        self.names = frozenset(self.order)
        gone = self.statuses.keys() - self.names
        for name in gone:
            del self.statuses[name]
        for name in self.unreadable.keys() - self.names:
            del self.unreadable[name]
        self.changed()
        return gone

    def describe(self, status: GatewayStatus) -> None:
        """Know the status of a gateway, if it is one of the configuration in force."""
        if status.name in self.names:
            self.statuses[status.name] = status
            self.unreadable.pop(status.name, None)
            self.changed()

    def fail(self, gateway: str, error: LastError) -> GatewayStatus | None:
        """Know that the status of a gateway could not be read.

        Returns:
            The status that was known, with one more failure to read it; None if there is none.
        """
        if gateway not in self.names:
            return None
        self.unreadable[gateway] = error.message
        known = self.statuses.get(gateway)
        if known is not None:
            known = replace(known, read_failures=known.read_failures + 1, read_error=error)
            self.statuses[gateway] = known
        self.changed()
        return known

    def changed(self) -> None:
        """Note a change, and wake who waits for one."""
        self.number += 1
        waiting, self._waiting = self._waiting, set()
        for each in waiting:
            if not each.done():
                each.set_result(None)

    async def change_after(self, number: int) -> int:
        """Wait until there is a change after the one of this number; return the last one's."""
        while self.number <= number:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                await waiter
            finally:
                self._waiting.discard(waiter)
        return self.number
