"""``gatecert fleet reseal``: seal the private keys that a cluster shares with its newest key."""
# ruff: noqa: PLC0415 - large libraries, which other commands of the group do not need

from __future__ import annotations

from contextlib import closing
from typing import Final

import typer

from gatecert.cli.exit_codes import FAILED
from gatecert.cli.fleet_host_store import open_member
from gatecert.cli.output import show_lines, write_error

MOST_NAMED: Final = 5


def reseal(context: typer.Context) -> None:
    """Seal every private key of the cluster with the first of fleet.sealing_keys.

    Run it on one host, once all hosts list the new key. Then the old one may be removed. It may be
    interrupted and repeated; the daemons go on.
    """
    from gatecert.store.postgres.resealing import reseal as reseal_rows

    store = open_member(context).store
    with closing(store.database) as database:
        done = reseal_rows(database, store.sealing_keys)
    show_lines(
        f"{done.changed} of {done.total} private keys of cluster {store.place.cluster} were sealed"
        " with another key, and are now sealed with the first of fleet.sealing_keys"
    )
    if done.unopened:
        for what in done.unopened[:MOST_NAMED]:
            write_error(f"{what} is sealed with a key that this host does not have, or is damaged")
        more = len(done.unopened) - MOST_NAMED
        write_error(
            (f"{more} more like these; " if more > 0 else "")
            + "list the key that sealed them in fleet.sealing_keys of this host, and run it again"
        )
        raise typer.Exit(FAILED)
    show_lines("once every host lists that key first, the others may be removed")
