"""Shared parts of commands: arguments, reading the configuration, finding a gateway by name."""

from __future__ import annotations

import difflib
import logging
import os
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from gatecert.cli.options import DEFAULT_CONFIGURATION, options
from gatecert.config.include import read
from gatecert.config.load import validate
from gatecert.report import logs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatecert.config.document import Document
    from gatecert.config.schema import Configuration

Item = TypeVar("Item")

PATTERN: Final = frozenset("*?[")  # no name of a gateway contains them
MOST_LISTED: Final = 20

Name = Annotated[str, typer.Argument(metavar="NAME", help="Gateway name.")]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME", help="Gateway names or patterns ('edge-*'); all gateways if omitted."
    ),
]
Wait = Annotated[
    float,
    typer.Option(
        "--wait",
        metavar="SECONDS",
        min=0,
        help="How long to wait for a gateway that is locked.",
    ),
]

MemberName = Annotated[
    str,
    typer.Option("--member", metavar="M", help="Member of the pair, unless configured."),
]


def read_document(context: typer.Context, level: int = logging.WARNING) -> Document:
    """Configure the logs, and read the files of the configuration without checking them.

    Args:
        context: The context of the command.
        level: What standard error gets at least, unless an option says otherwise.

    Raises:
        ConfigurationError: A file cannot be used at all.
    """
    given = options(context)
    logs.configure(given.level(level))
    return read(Path(given.config))


def read_configuration(context: typer.Context, level: int = logging.WARNING) -> Configuration:
    """Configure the logs, and read the configuration.

    Args:
        context: The context of the command.
        level: What standard error gets at least, unless an option says otherwise.

    Raises:
        ConfigurationError: It cannot be used.
    """
    return validate(read_document(context, level))


def readable_configuration(context: typer.Context) -> Configuration | None:
    """Read the configuration if there is one, for commands that can do without.

    Returns:
        None if it does not exist, or nobody has named it and this user may not read it: the owner
        of the fleet's database is not a user of gatecert's.

    Raises:
        ConfigurationError: It cannot be used.
    """
    path = Path(options(context).config)
    if str(path) == DEFAULT_CONFIGURATION and not os.access(path, os.R_OK):
        return None
    with suppress(OSError):  # reading it tells why
        if not path.exists():
            return None
    return read_configuration(context)


def find(kind: str, configured: Mapping[str, Item], name: str) -> Item:
    """Return the gateway or authority of that name.

    Raises:
        typer.BadParameter: There is none.
    """
    if name in configured:
        return configured[name]
    near = difflib.get_close_matches(name, configured, n=1)
    hint = f", did you mean {near[0]!r}" if near else ""
    names = _listed(sorted(configured))
    if not name:
        raise typer.BadParameter(f"name the {kind} (configured: {names})")
    raise typer.BadParameter(f"no {kind} is called {name!r}{hint} (configured: {names})")


def matching(kind: str, configured: Mapping[str, Item], names: Sequence[str]) -> tuple[Item, ...]:
    """Return everything that names or shell patterns select, each once, in the order of the names.

    Args:
        kind: What is selected, for messages.
        configured: What there is, by name.
        names: Names, or patterns as in fnmatch(3), case-sensitive. No name means everything.

    Raises:
        typer.BadParameter: A name or a pattern selects nothing.
    """
    known = sorted(configured)
    found: dict[str, Item] = {}
    for name in names or known:
        if PATTERN.isdisjoint(name):
            found[name] = find(kind, configured, name)
            continue
        selected = {each: configured[each] for each in known if fnmatchcase(each, name)}
        if not selected:
            raise typer.BadParameter(f"no {kind} matches {name!r} (configured: {_listed(known)})")
        found |= selected
    return tuple(found.values())


def _listed(names: Sequence[str]) -> str:
    """Return names as a list, of a bearable length."""
    more = len(names) - MOST_LISTED
    shown = ", ".join(names[:MOST_LISTED]) or "none"
    return f"{shown} and {more} more" if more > 0 else shown
