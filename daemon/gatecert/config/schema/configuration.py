"""The whole configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from gatecert.config.names import Country, SafeName
from gatecert.config.paths import AnyFile
from gatecert.config.schema.authority import AuthoritySettings
from gatecert.config.schema.base import Settings
from gatecert.config.schema.challenge import ChallengeSettings, ResolverSettings
from gatecert.config.schema.gateway import GatewaySettings

DEFAULT_STATE_DIRECTORY: Final = "/var/lib/gatecert"


def default_state_directory() -> Path:
    """Where systemd put the state (``StateDirectory=``; the first, if there are several)."""
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(given or DEFAULT_STATE_DIRECTORY)


def _with_names(value: object) -> object:
    """Tell each group of settings the key it stands under."""
    if not isinstance(value, dict):
        return value
    return {
        key: {"name": key, **settings} if isinstance(settings, dict) else settings
        for key, settings in value.items()
    }


class Configuration(Settings):
    """Everything that an operator can set."""

    state_directory: AnyFile = Field(
        default_factory=default_state_directory,
        description="Where keys, certificates and accounts are kept. Default: $STATE_DIRECTORY, "
        "which systemd sets, or else /var/lib/gatecert.",
    )
    excluded_regions: tuple[Country, ...] = Field(
        default=("cn",),
        description="Countries, by their two letters, whose gateways are never enrolled.",
    )
    authorities: Annotated[dict[SafeName, AuthoritySettings], BeforeValidator(_with_names)] = Field(
        default_factory=dict,
        description="Certificate authorities by a name of your choice, tried in this order.",
    )
    resolver: ResolverSettings = Field(
        default=ResolverSettings(),
        description="Who is asked whether the hostnames point here, and how often.",
    )
    challenges: ChallengeSettings = Field(
        default=ChallengeSettings(),
        description="How control over the hostnames is shown to an authority.",
    )
    gateways: Annotated[dict[SafeName, GatewaySettings], BeforeValidator(_with_names)] = Field(
        description="The gateways to keep a certificate on, by a name of your choice."
    )
