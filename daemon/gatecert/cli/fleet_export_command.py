"""``gatecert fleet export``: what the hosts share, as the plain files of one host."""
# ruff: noqa: PLC0415 - large libraries, which other commands of the group do not need

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path  # noqa: TC003 - Typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.app import utc_now
from gatecert.cli.application import select_targets
from gatecert.cli.context import Names, Wait  # noqa: TC001 - Typer reads it
from gatecert.cli.fleet_host_store import open_member
from gatecert.cli.options import options
from gatecert.cli.output import show_lines
from gatecert.errors import WrongUsageError
from gatecert.model import Mode
from gatecert.store.state_directory import hold_state_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.cli.fleet_host_store import FleetMember
    from gatecert.model import Target
    from gatecert.store.postgres.exporting import ExportedGateway


def export(
    context: typer.Context,
    names: Names = None,
    *,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="DIRECTORY",
            help="Write an empty directory, to be used as state_directory elsewhere. Default: the "
            "state directory of this host, whose daemon must be stopped.",
        ),
    ] = None,
    wait: Wait = 60.0,
) -> None:
    """Write what the hosts share as plain files, with which a host goes on without a fleet.

    Newest certificate, account, state, open order with its key, and counted requests. Nothing is
    changed in the database. Export to one host only, unless nothing is ordered any more.
    """
    member = open_member(context)
    own = member.store.directory
    directory = own if to is None else _empty(to)
    targets = select_targets(member.application, names)
    with nullcontext() if to else hold_state_directory(own, "gatecert fleet export"):
        export_files(member, targets, directory, wait=wait)
    if to is None:
        config = options(context).config
        show_lines(f"next: remove fleet from {config}, and start the daemon")
    else:
        show_lines(f"next: use {directory} as state_directory of a configuration without fleet")


def export_files(
    member: FleetMember,
    targets: Sequence[Target],
    directory: Path,
    *,
    wait: float,
    with_orders: bool = True,
) -> None:
    """Export gateways, accounts and counted requests, and show them.

    Args:
        member: This host.
        targets: The gateways.
        directory: A state directory: this host's own, or an empty one.
        wait: Seconds to wait for a gateway that is locked.
        with_orders: As for `Export`.
    """
    from gatecert.store.postgres.exporting import Export

    made = Export(member.store, directory, with_orders=with_orders)
    for authority in made.accounts():
        show_lines(f"account {authority}: exported")
    counted = made.counted_requests(member.directory_urls, now=utc_now())
    show_lines(f"counted requests of the last days: {counted}")
    for target in targets:
        with member.store.lock_gateway(target.name, "exporting", wait=wait):
            group = target.install.key_group
            exported = made.gateway(target.name, now=utc_now(), key_group=group)
        show_lines(_line(exported, target))


def _line(exported: ExportedGateway, target: Target) -> str:
    if target.mode is not Mode.AUTOMATIC:
        what = "nothing of it is shared"
    elif exported.generation:
        what = f"exported, generation {exported.generation}"
    else:
        what = "exported, no certificate of a CA yet"
    if exported.orders:
        what += ", with its open order"
    return f"gateway {exported.name}: {what}"


def _empty(directory: Path) -> Path:
    """Return a directory that is empty or does not exist.

    Raises:
        WrongUsageError: It is neither.
    """
    try:
        used = next(directory.iterdir(), None) is not None
    except FileNotFoundError:
        used = False
    except OSError as error:
        raise WrongUsageError(f"{directory} cannot be written: {error.strerror}") from error
    if used:
        raise WrongUsageError(
            f"{directory} is not empty, so nothing was exported",
            fix="name a directory that is empty or does not exist",
        )
    return directory.absolute()
