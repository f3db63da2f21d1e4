"""Status of metrics, page and notifications, as ``gatecert status`` shows it.

The monitor writes it to ``STATE/monitoring.json`` whenever it changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class ListenerStatus:
    """A listener, or the textfile.

    Attributes:
        purpose: ``metrics`` or ``page``.
        address: ``address:port``, ``unix:/path``, or the path of the textfile.
        problem: Why it does not work, one line; empty if it does.
        fix: What to do about it.
    """

    purpose: str
    address: str
    problem: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class ReceiverStatus:
    """A receiver of notifications.

    Attributes:
        told_at: When it accepted a message last; None for never.
        waiting: Messages that it has not accepted yet.
        problem: Why the last attempt failed, one line; empty if it did not, or nothing waits.
        fix: What to do about it.
        failing_since: When the first of the failed attempts was.
        next_at: When the next attempt is.
    """

    name: str
    told_at: datetime | None = None
    waiting: int = 0
    problem: str = ""
    fix: str = ""
    failing_since: datetime | None = None
    next_at: datetime | None = None


class MonitoringProblem(NamedTuple):
    """A listener or receiver that does not work, and the fix, one line each."""

    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class MonitoringStatus:
    """Every listener and receiver of the configuration in force."""

    listeners: tuple[ListenerStatus, ...] = ()
    receivers: tuple[ReceiverStatus, ...] = ()

    @property
    def problems(self) -> tuple[MonitoringProblem, ...]:
        """The listeners and receivers that do not work."""
        listeners = (
            (f"{one.purpose} at {one.address}", one.problem, one.fix) for one in self.listeners
        )
        receivers = (
            (f"notifications to {one.name}", one.problem, one.fix) for one in self.receivers
        )
        return tuple(
            MonitoringProblem(f"{what}: {problem}", fix)
            for what, problem, fix in (*listeners, *receivers)
            if problem
        )


NOT_MONITORED = MonitoringStatus()
