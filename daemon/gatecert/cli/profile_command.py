"""``gatecert profile``: how a gateway stands in its users' clients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecert.cli.context import Name, find, read_configuration
from gatecert.config.targets import targets
from gatecert.report.anyconnect_profile import profile as document
from gatecert.store.durable import write_file
from gatecert.store.storage_errors import storage_error

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
    found = {target.name: target for target in targets(read_configuration(context))}
    written = document(find("gateway", found, name))
    if not output:
        typer.echo(written, nl=False)
        return
    _write(Path(output).absolute(), written)


def _write(path: Path, document: bytes) -> None:
    """Replace the file, where a link leads if it is one; a device or a pipe is written to.

    Raises:
        StorageError: It cannot be written.
    """
    try:
        if not path.exists() or path.is_file():
            write_file(path.resolve(), document, mode=READABLE)
            return
        with path.open("wb", buffering=0) as file:
            file.write(document)
    except OSError as error:
        raise storage_error(error, "write", path) from error
