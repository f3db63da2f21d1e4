"""``gatecert profile``: how a gateway stands in its users' clients."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from gatecert.cli.context import Name, named, options

READABLE = 0o644  # a profile is for everybody


def profile(
    context: typer.Context,
    name: Name,
    *,
    output: Annotated[
        str, typer.Option("--output", metavar="FILE", help="Write it there, in one step.")
    ] = "",
) -> None:
    """Write an AnyConnect client profile (XML): an alias for the name of a gateway.

    It goes to standard output, for ocserv (user-profile), openconnect (--xmlconfig) or AnyConnect.
    """
    from gatecert.config.target import targets  # noqa: PLC0415 - --help is quick without it
    from gatecert.report.profile import profile as document  # noqa: PLC0415 - --help is quick

    given = options(context)
    given.configure_logs(logging.WARNING)
    found = {target.name: target for target in targets(given.load())}
    written = document(named(found, name))
    if not output:
        typer.echo(written, nl=False)
        return
    from gatecert.store.durable import write_file  # noqa: PLC0415 - --help is quick

    write_file(Path(output).absolute(), written, mode=READABLE)
