"""Conversion of ``metrics``, ``page`` and ``notify`` to the plan of the monitor.

The monitor never reads the configuration, so the plan holds all that it needs: the web
configurations as they were read, and every path in full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.config.web_config import web_access
from gatecert.model import (
    MetricsPlan,
    MonitoringPlan,
    PagePlan,
    ReceiverKind,
    ReceiverPlan,
    WebAccess,
)
from gatecert.trusted_files import trusted_users

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from gatecert.config.schema import Configuration, ReceiverSettings

NO_QUIET_HOURS = (-1, -1)


def monitoring_plan(configuration: Configuration) -> MonitoringPlan:
    """Return what the monitor does.

    Raises:
        ConfigurationError: A web configuration cannot be used; it has changed since ``load``,
            which reports the same.
    """
    metrics, page = configuration.metrics, configuration.page
    users = trusted_users(configuration.state_directory)
    return MonitoringPlan(
        state_directory=str(configuration.state_directory),
        metrics=None
        if metrics is None
        else MetricsPlan(
            listen=metrics.listen,
            textfile=_text(metrics.textfile),
            per_gateway=metrics.per_gateway,
            access=_access(metrics.web_config, users),
        ),
        page=None
        if page is None
        else PagePlan(listen=page.listen, access=_access(page.web_config, users)),
        receivers=tuple(
            _receiver(place, settings) for place, settings in enumerate(configuration.notify, 1)
        ),
        authorities=tuple(configuration.authorities),
        has_fleet=configuration.fleet is not None,
    )


def receiver_kind(settings: ReceiverSettings) -> ReceiverKind:
    """Return how a receiver is told."""
    if settings.url_file is not None:
        return ReceiverKind.APPRISE
    if settings.webhook_file is not None:
        return ReceiverKind.WEBHOOK
    return ReceiverKind.COMMAND


def receiver_name(place: int, settings: ReceiverSettings) -> str:
    """Return the name of a receiver: ``url-1``, ``webhook-2`` or ``command-3`` by default.

    Args:
        place: In ``notify``, counted from 1.
        settings: The receiver.
    """
    kind = receiver_kind(settings).removesuffix("_file")
    return settings.name or f"{kind}-{place}"


def _receiver(place: int, settings: ReceiverSettings) -> ReceiverPlan:
    quiet_from, quiet_until = settings.quiet_hours or NO_QUIET_HOURS
    return ReceiverPlan(
        name=receiver_name(place, settings),
        kind=receiver_kind(settings),
        file=_text(settings.url_file or settings.webhook_file),
        command=settings.command,
        events=settings.events,
        severity=settings.severity,
        failures=settings.failures,
        ends_within=settings.ends_within,
        group=settings.group,
        remind=settings.remind,
        quiet_from=quiet_from,
        quiet_until=quiet_until,
        timeout=settings.timeout,
    )


def _access(web_config: Path | None, users: Collection[int]) -> WebAccess:
    return WebAccess() if web_config is None else web_access(web_config, users)


def _text(path: Path | None) -> str:
    return "" if path is None else str(path)
