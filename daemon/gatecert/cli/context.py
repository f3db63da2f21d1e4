"""Shared parts of commands: arguments, reading the configuration, finding a gateway by name."""

from __future__ import annotations

import difflib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gatecert.cli.options import options
from gatecert.config.load import load
from gatecert.report import logs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatecert.config.schema import Configuration

Item = TypeVar("Item")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Gateway name.")]
Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Gateway names; all gateways if omitted."),
]
Wait = Annotated[
    float,
    typer.Option(
        "--wait", metavar="SECONDS", help="How long to wait for a gateway that is locked."
    ),
]

MemberName = Annotated[
    str,
    typer.Option("--member", metavar="M", help="Member of the pair, unless configured."),
]


def read_configuration(context: typer.Context, level: int = logging.WARNING) -> Configuration:
    """Configure the logs, and read the configuration.

    Args:
        context: The context of the command.
        level: What standard error gets at least; ``--debug`` logs everything.

    Raises:
        ConfigurationError: It cannot be used.
    """
    given = options(context)
    logs.configure(logging.DEBUG if given.debug else level)
    return load(Path(given.config))


def find(kind: str, configured: Mapping[str, Item], name: str) -> Item:
    """Return the gateway or authority of that name.

    Raises:
        typer.BadParameter: There is none.
    """
    if name in configured:
        return configured[name]
    near = difflib.get_close_matches(name, configured, n=1)
    hint = f", did you mean {near[0]!r}" if near else ""
    names = ", ".join(sorted(configured)) or "none"
    if not name:
        raise typer.BadParameter(f"name the {kind} (configured: {names})")
    raise typer.BadParameter(f"no {kind} is called {name!r}{hint} (configured: {names})")
