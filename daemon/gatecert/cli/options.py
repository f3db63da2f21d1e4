"""The options in front of the command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

DEFAULT_CONFIGURATION = "/etc/gatecert/config.yaml"


@dataclass(frozen=True, slots=True)
class Options:
    """The options in front of the command."""

    config: str
    debug: bool


def options(context: typer.Context) -> Options:
    """Return the options in front of the command."""
    found = context.find_object(Options)
    if found is None:
        raise TypeError("the command runs outside the gatecert application")
    return found


def daemon_options(arguments: Sequence[str]) -> Options | None:
    """Return the options of ``gatecert run``, if the arguments are exactly that command.

    Args:
        arguments: Without the program's name. Anything that needs more than a look (help, errors,
            another command) gives None.
    """
    config, debug, rest = DEFAULT_CONFIGURATION, False, list(arguments)
    while len(rest) > 1:
        option = rest.pop(0)
        name, equals, value = option.partition("=")
        if option == "--debug":
            debug = True
        elif name == "--config" and equals:
            config = value
        elif option in {"-c", "--config"}:
            config = rest.pop(0)
        else:
            return None
    return Options(config, debug=debug) if rest == ["run"] else None
