"""The options of ``gatecert`` itself, which every command accepts as well."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from gatecert.cli.options import Options

if TYPE_CHECKING:
    from typer._click.core import Command, Context, Parameter

GLOBAL: Final = frozenset({"config", "debug", "quiet", "verbose"})
HINT: Final = "-c FILE, -q, -v and --debug work here as well; see gatecert --help."


def accept_global_options(command: Command, group: Command) -> Command:
    """Make a command, and those below it, accept the options of the group; return the command."""
    taken = {name for each in command.params for name in (each.name, *each.opts)}
    for option in group.params:
        if option.name in GLOBAL and taken.isdisjoint((option.name, *option.opts)):
            command.params.append(_optional(option))
    command.epilog = command.epilog or HINT
    for each in getattr(command, "commands", {}).values():
        accept_global_options(each, group)
    return command


def _optional(option: Any) -> Parameter:  # noqa: ANN401 - a TyperOption
    """Return an option that changes the options in front of the command, if it is given."""
    accepted: Any = copy(option)
    accepted.expose_value, accepted.hidden, accepted.callback = False, True, _take
    return accepted  # type: ignore[no-any-return]


def _take(context: Context, option: Parameter, value: object) -> object:
    """Add an option behind the command to those in front of it."""
    name = option.name or ""
    source = context.get_parameter_source(name)
    if source is not None and source.name == "COMMANDLINE":
        root = context.find_root()
        given = context.find_object(Options) or Options(root.params["config"])
        changed: dict[str, Any] = {name: value}
        context.obj = replace(given, **changed)
    return value
