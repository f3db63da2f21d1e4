"""The options in front of the command."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

DEFAULT_CONFIGURATION = "/etc/gatecert/config.yaml"
COMPLETION_VARIABLE = "_GATECERT_COMPLETE"
FLAGS = {
    "--debug": "debug",
    "-q": "quiet",
    "--quiet": "quiet",
    "-v": "verbose",
    "--verbose": "verbose",
}
LEVEL = logging.WARNING - logging.INFO  # from one level of log records to the next


@dataclass(frozen=True, slots=True)
class Options:
    """The options in front of the command."""

    config: str
    debug: bool = False
    quiet: bool = False
    verbose: bool = False

    def level(self, usual: int) -> int:
        """Return the lowest level of log records that are shown.

        Args:
            usual: The level without options: what one command logs differs from another.
        """
        if self.debug:
            return logging.DEBUG
        if self.quiet:
            return usual + LEVEL
        return min(usual, logging.INFO) if self.verbose else usual


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
    config, rest, commands = DEFAULT_CONFIGURATION, list(arguments), 0
    flags: set[str] = set()
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if word == "run":
            commands += 1
        elif word in FLAGS:
            flags.add(FLAGS[word])
        elif name == "--config" and equals:
            config = value
        elif word in {"-c", "--config"} and rest:
            config = rest.pop(0)
        else:
            return None
    if commands != 1:
        return None
    return Options(
        config,
        debug="debug" in flags,
        quiet="quiet" in flags,
        verbose="verbose" in flags,
    )
