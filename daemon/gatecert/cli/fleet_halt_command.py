"""``gatecert fleet pause`` and ``resume``: the owner halts all hosts, and lets them go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.cli.fleet_owner_command import Database, fleet_section, owner_login
from gatecert.cli.output import show_lines
from gatecert.errors import clean
from gatecert.time_format import instant

if TYPE_CHECKING:
    from gatecert.model.fleet import FleetHalt
    from gatecert.store.postgres.owner import Owner

LONGEST_REASON = 200  # characters


def pause(
    context: typer.Context,
    *,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for those who look at the status.")
    ] = "",
    database: Database = "",
) -> None:
    """Pause the whole fleet: nothing is ordered or deployed, except for what ends within a day.

    Logs in as the owner, as gatecert fleet migrate does. Gateways keep their certificates.
    """
    halt = _owner(context, database).pause(clean(reason, LONGEST_REASON))
    show_lines(
        *_halted(halt, "paused", "brake"),
        "only certificates that end within a day are still renewed",
    )
    show_lines("to end it: gatecert fleet resume")


def resume(context: typer.Context, *, database: Database = "") -> None:
    """Let the whole fleet go on, after a pause or when the brake has stopped it.

    Logs in as the owner, as gatecert fleet migrate does. The brake is on because too many
    deployments were rolled back: find out why first.
    """
    halt = _owner(context, database).resume()
    if halt.since is None:
        show_lines("the fleet was not halted; what roll-backs have stopped goes on")
    else:
        show_lines(*_halted(halt, "was paused", "brake was on"), "all hosts go on")


def _halted(halt: FleetHalt, paused: str, brake: str) -> list[str]:
    """Return a line for each reason for which the fleet is or was halted."""
    reasons = (
        (paused, halt.paused_since, halt.pause_reason),
        (brake, halt.brake_since, halt.brake_reason),
    )
    return [
        f"{what} since {instant(since)}" + (f": {reason}" if reason else "")
        for what, since, reason in reasons
        if since is not None
    ]


def _owner(context: typer.Context, database: str) -> Owner:
    return owner_login(database, None if database else fleet_section(context, "name --database"))
