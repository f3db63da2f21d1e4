"""The options in front of the command."""

from __future__ import annotations

from dataclasses import dataclass

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
