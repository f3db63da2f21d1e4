"""The options in front of the command."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_CONFIGURATION = "/etc/gatecert/config.yaml"


@dataclass(frozen=True, slots=True)
class Options:
    """The options in front of the command."""

    config: str
    debug: bool
