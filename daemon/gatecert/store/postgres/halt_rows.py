"""The one row of the fleet: whether all hosts have stopped orders and deployments.

Hosts read it and set the brake; the owner pauses, and resumes after either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.model.fleet import FleetHalt

if TYPE_CHECKING:
    from psycopg import Connection


def read(connection: Connection) -> FleetHalt:
    """Return whether the fleet is halted, and why."""
    row = connection.execute(
        "SELECT paused_since, brake_since, brake_reason, pause_reason FROM fleet"
    ).fetchone()
    return FleetHalt() if row is None else FleetHalt(*row)


def pause(owner: Connection, reason: str) -> FleetHalt:
    """Pause the fleet, from now on unless it is paused already; return how it is halted."""
    owner.execute(
        "UPDATE fleet SET paused_since = coalesce(paused_since, clock_timestamp()),"
        " pause_reason = %s",
        (reason,),
    )
    return read(owner)


def resume(owner: Connection) -> FleetHalt:
    """Let all hosts go on: end a pause, the brake, and what roll-backs until now have stopped.

    Returns:
        How the fleet was halted.
    """
    owner.execute("SELECT FROM fleet FOR UPDATE")
    before = read(owner)
    owner.execute(
        "UPDATE fleet SET paused_since = NULL, pause_reason = '', brake_since = NULL,"
        " brake_reason = '', resumed = clock_timestamp()"
    )
    return before
