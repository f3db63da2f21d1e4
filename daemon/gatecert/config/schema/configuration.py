"""The whole configuration file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from gatecert.config.names import Country, SafeName
from gatecert.config.paths import AnyFile, FilePattern
from gatecert.config.schema.authority import AuthoritySettings
from gatecert.config.schema.base import Settings
from gatecert.config.schema.challenge import ChallengeSettings, ResolverSettings
from gatecert.config.schema.fleet_settings import FleetSettings
from gatecert.config.schema.gateway import GatewaySettings, SharedGatewaySettings
from gatecert.config.schema.monitoring_settings import (
    MetricsSettings,
    PageSettings,
    ReceiverSettings,
)
from gatecert.config.schema.worker import WorkerSettings

DEFAULT_STATE_DIRECTORY: Final = "/var/lib/gatecert"


def default_state_directory() -> Path:
    """Return systemd's ``StateDirectory=``; the first, if there are several."""
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(given or DEFAULT_STATE_DIRECTORY)


def _with_names(value: object) -> object:
    """Add to each group of settings the key that it is below."""
    if not isinstance(value, dict):
        return value
    return {
        key: {"name": key, **settings} if isinstance(settings, dict) else settings
        for key, settings in value.items()
    }


class Configuration(Settings):
    """All settings."""

    state_directory: AnyFile = Field(
        default_factory=default_state_directory,
        description="Directory of keys, certificates and accounts. Default: $STATE_DIRECTORY, "
        "which systemd sets, else /var/lib/gatecert.",
    )
    excluded_regions: tuple[Country, ...] = Field(
        default=("cn",),
        description="Two-letter country codes whose gateways are never enrolled.",
    )
    authorities: Annotated[dict[SafeName, AuthoritySettings], BeforeValidator(_with_names)] = Field(
        default_factory=dict,
        description="ACME CAs by a name of your choice, tried in this order.",
    )
    resolver: ResolverSettings = Field(
        default=ResolverSettings(),
        description="DNS resolution of the hostnames.",
    )
    challenges: ChallengeSettings = Field(
        default=ChallengeSettings(),
        description="Challenge types and their settings.",
    )
    worker: WorkerSettings = Field(
        default=WorkerSettings(),
        description="The process that the daemon starts when work is due.",
    )
    metrics: MetricsSettings | None = Field(
        default=None, description="Metrics for Prometheus. Default: none."
    )
    page: PageSettings | None = Field(default=None, description="The status page. Default: none.")
    notify: tuple[ReceiverSettings, ...] = Field(
        default=(), description="Receivers of notifications."
    )
    fleet: FleetSettings | None = Field(
        default=None,
        description="Hosts that share names or limits by a database. Default: this host is alone.",
    )
    defaults: SharedGatewaySettings = Field(
        default=SharedGatewaySettings(),
        description="Settings of every gateway that does not set them itself.",
    )
    gateways: Annotated[dict[SafeName, GatewaySettings], BeforeValidator(_with_names)] = Field(
        description="Gateways by a name of your choice."
    )
    include: tuple[FilePattern, ...] = Field(
        default=(),
        description="More of the same: files, or shell patterns such as conf.d/*.yaml.",
    )

    @property
    def is_monitored(self) -> bool:
        """True if metrics, the page or notifications are configured."""
        return bool(self.metrics or self.page or self.notify)
