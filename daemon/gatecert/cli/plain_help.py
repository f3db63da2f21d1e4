"""Arguments in help texts by their names alone, without the types and braces that Typer adds."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer._click.core import Command, Context

BRACES: Final = str.maketrans("", "", "{}")  # around arguments that must be given
TYPE: Final = re.compile(r" <[\w\[\], |.]+>$")


def name_arguments_plainly(command: Command) -> Command:
    """Make the help of a command, and of those below it, name arguments as NAME; return it."""
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            replaced = vars(parameter)  # in place of the methods
            replaced["get_help_record"] = partial(_help_record, parameter.get_help_record)
            replaced["get_usage_pieces"] = partial(_usage_pieces, parameter.get_usage_pieces)
    for each in getattr(command, "commands", {}).values():
        name_arguments_plainly(each)
    return command


def _help_record(
    record: Callable[[Context], tuple[str, str] | None], context: Context
) -> tuple[str, str] | None:
    found = record(context)
    return found and (TYPE.sub("", found[0]), found[1])


def _usage_pieces(pieces: Callable[[Context], list[str]], context: Context) -> list[str]:
    return [each.translate(BRACES) for each in pieces(context)]
