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
    from gatecert.config.targets import targets  # noqa: PLC0415 - --help is quick without it
    from gatecert.report.anyconnect_profile import profile as document  # noqa: PLC0415 - --help is quick

    given = options(context)
    given.configure_logs(logging.WARNING)
    found = {target.name: target for target in targets(given.load())}
    written = document(named(found, name))
    if not output:
        typer.echo(written, nl=False)
        return
    _write(Path(output).absolute(), written)


def _write(path: Path, document: bytes) -> None:
    """Replace the file, where a link leads if it is one; a device or a pipe is written to.

    Raises:
        StorageError: It cannot be written.
    """
    from gatecert.store.durable import write_file  # noqa: PLC0415 - --help is quick
    from gatecert.store.storage_errors import storage_error  # noqa: PLC0415

    try:
        if not path.exists() or path.is_file():
            write_file(path.resolve(), document, mode=READABLE)
            return
        with path.open("wb", buffering=0) as file:
            file.write(document)
    except OSError as error:
        raise storage_error(error, "write", path) from error
