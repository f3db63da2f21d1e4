"""``gatecert profile``: the AnyConnect client profile of a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecert.cli.context import Name, find, read_configuration
from gatecert.cli.output import show_text
from gatecert.config.targets import targets
from gatecert.report.anyconnect_profile import profile as document
from gatecert.store.operator_files import write_output

READABLE = 0o644  # a profile is for everybody


def profile(
    context: typer.Context,
    name: Name,
    *,
    output: Annotated[
        str, typer.Option("--output", metavar="FILE", help="Write to this file atomically.")
    ] = "",
) -> None:
    """Write an AnyConnect client profile (XML).

    The profile gives the gateway's hostname an alias. Use it with ocserv (user-profile),
    openconnect (--xmlconfig) or AnyConnect. Default: standard output.
    """
    found = {target.name: target for target in targets(read_configuration(context))}
    written = document(find("gateway", found, name))
    if not output:
        show_text(written.decode())
        return
    write_output(Path(output).absolute(), written, mode=READABLE)
