"""``gatecert profile``: how a gateway stands in its users' clients."""

from __future__ import annotations

import difflib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.cli.context import Name, options

if TYPE_CHECKING:
    from gatecert.config.schema import Configuration
    from gatecert.model import Target

READABLE = 0o644  # a profile is for everybody


def profile(
    context: typer.Context,
    name: Name,
    *,
    output: Annotated[
        str, typer.Option("--output", metavar="FILE", help="Write it there, in one step.")
    ] = "",
) -> None:
    """Write an AnyConnect client profile (XML): an alias that leads to the gateway's name.

    It goes to standard output, for ocserv (user-profile), openconnect (--xmlconfig) or AnyConnect.
    """
    from gatecert.report.profile import profile as document  # noqa: PLC0415 - --help is quick

    given = options(context)
    given.configure_logs(logging.WARNING)
    written = document(_target(given.load(), name))
    if not output:
        typer.echo(written, nl=False)
        return
    from gatecert.store.durable import write_file  # noqa: PLC0415 - --help is quick

    write_file(Path(output).absolute(), written, mode=READABLE)


def _target(configuration: Configuration, name: str) -> Target:
    """The gateway of that name; nothing of the state directory is needed for it."""
    from gatecert.config.target import targets  # noqa: PLC0415 - --help is quick without it

    found = {target.name: target for target in targets(configuration)}
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        hint = f", did you mean {near[0]!r}" if near else ""
        raise typer.BadParameter(f"no gateway is called {name!r}{hint}")
    return found[name]
