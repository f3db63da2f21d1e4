"""``gatecert fleet leave``: a host leaves its cluster, and the owner removes its login."""
# ruff: noqa: PLC0415 - large libraries, which other commands of the group do not need

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from gatecert.challenge.solver import LeftoverCleaner
from gatecert.cli.context import Wait  # noqa: TC001 - Typer reads it
from gatecert.cli.fleet_export_command import export_files
from gatecert.cli.fleet_host_store import open_member
from gatecert.cli.fleet_owner_command import (
    Database,
    checked_name,
    fleet_section,
    not_empty,
    owner_login,
)
from gatecert.cli.options import options
from gatecert.cli.output import show_lines
from gatecert.errors import StateError
from gatecert.store.state_directory import hold_state_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.cli.fleet_host_store import FleetMember
    from gatecert.store.postgres.leaving import OtherHost

REMAINS: Final = (
    "its account, certificates and counted requests stay in the database, and fleet status counts"
    " each of its gateways until 35 days after the certificate has ended"
)


def leave(
    context: typer.Context,
    hosts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="HOST",
            help="Hosts to remove with their roles, by the owner; without any, this host leaves.",
        ),
    ] = None,
    *,
    cluster: Annotated[
        str,
        typer.Option(
            "--cluster",
            metavar="CLUSTER",
            callback=not_empty,
            help="Cluster of the hosts to remove. Default: that of the configuration.",
        ),
    ] = "",
    database: Database = "",
    wait: Wait = 60.0,
) -> None:
    """Leave the cluster with whole files; or remove hosts, with the login of the owner.

    On a host, whose daemon must be stopped: writes what is shared as plain files, as gatecert
    fleet export does, withdraws its TXT records, and ends its leases. Open orders are left to the
    other hosts; the last host takes them along. Then the owner removes the host and its role.
    """
    if hosts:
        _remove(context, [checked_name(host) for host in hosts], cluster, database)
        return
    if cluster or database:
        raise typer.BadParameter("name the hosts to remove behind gatecert fleet leave")
    _leave(context, wait)


def _remove(context: typer.Context, hosts: Sequence[str], cluster: str, database: str) -> None:
    complete = database and cluster
    fleet = None if complete else fleet_section(context, "name --database and --cluster")
    name = checked_name(cluster) if cluster or fleet is None else fleet.cluster
    left = owner_login(database, fleet).remove_hosts(name, hosts)
    for host in hosts:
        show_lines(f"host {host} of cluster {name} is removed, and cannot log in any more")
    if not left:
        show_lines(f"cluster {name} has no host left: {REMAINS}")


def _leave(context: typer.Context, wait: float) -> None:
    from gatecert.store.postgres import leaving

    member = open_member(context)
    database, place = member.store.database, member.store.place
    targets, names = member.enrolled, [target.name for target in member.enrolled]
    with hold_state_directory(member.store.directory, "gatecert fleet leave"):
        with database.transaction() as rows:
            others, open_orders = leaving.other_hosts(rows), leaving.with_open_orders(rows, names)
        _check_finished_by_others(others, open_orders)
        export_files(member, targets, member.store.directory, wait=wait, with_orders=not others)
        for name in names:
            member.store.forget_generations(name)
        left = _withdraw_records(member)
        with database.transaction() as rows:
            if not others:
                leaving.close_orders(rows, names)
            leaving.withdraw(rows)
    going_on = ", ".join(other.name for other in others) or "none, it was the last one"
    show_lines(f"host {place.host} has left cluster {place.cluster}; other hosts: {going_on}")
    if left:
        show_lines(f"{left} TXT records could not be withdrawn yet; the daemon tries again")
    show_lines(
        f"next: remove fleet from {options(context).config}, and start the daemon",
        f"then, as the owner: gatecert fleet leave --database URL --cluster {place.cluster}"
        f" {place.host}",
    )


def _check_finished_by_others(others: Sequence[OtherHost], open_orders: Sequence[str]) -> None:
    """Check that some host goes on with the open orders.

    Raises:
        StateError: None of the others is live.
    """
    if open_orders and others and not any(other.is_live for other in others):
        raise StateError(
            f"an order of gateway {open_orders[0]} is open, and no other host of the cluster runs"
            " to finish it, so this one stays",
            fix="start the daemon of another host, or of this one until the order is finished",
        )


def _withdraw_records(member: FleetMember) -> int:
    """Withdraw the TXT records of this host; return how many may still exist."""
    from gatecert.store.postgres import leaving

    for solver in member.application.solvers.values():
        if isinstance(solver, LeftoverCleaner):
            solver.remove_leftovers()
    with member.store.database.transaction() as rows:
        return leaving.published_records(rows)
