"""The application as commands use it."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from gatecert.app import build
from gatecert.cli.context import matching
from gatecert.report.monitoring_status import NOT_MONITORED, MonitoringStatus
from gatecert.store import storage_errors
from gatecert.store.drop_root import drop_root_privileges
from gatecert.store.state_directory import announce_change
from gatecert.supervision.monitoring_file import read_monitoring_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gatecert.app import Application
    from gatecert.config.schema import Configuration
    from gatecert.model import Message, Progress, Stage, Target


def no_progress(gateway: str, stage: Stage, message: Message) -> None:
    """Report nothing: the command changes no gateway."""


def open_application(
    configuration: Configuration,
    progress: Progress = no_progress,
    cancelled: threading.Event | None = None,
) -> Application:
    """Build everything for a command, as the owner of the state directory.

    Args:
        configuration: The configuration.
        progress: Receives progress messages.
        cancelled: Set to stop what the command does.

    Raises:
        StorageError: The state directory cannot be used.
    """
    storage_errors.runs_as_daemon |= bool(
        drop_root_privileges(configuration.state_directory, keep_bind=True)
    )
    return build(configuration, progress, cancelled or threading.Event())


def select_targets(application: Application, names: Sequence[str] | None) -> tuple[Target, ...]:
    """Return the gateways of these names and shell patterns, or all gateways if there are none.

    Raises:
        typer.BadParameter: There is no gateway of that name, or none that matches.
    """
    return matching("gateway", application.targets, names or ())


def monitoring_status(application: Application, daemon: int | None) -> MonitoringStatus:
    """Return how metrics, page and notifications of a running daemon are.

    Args:
        application: The configuration and its parts.
        daemon: Process id of the daemon, if it runs.
    """
    if daemon is None or not application.configuration.is_monitored:
        return NOT_MONITORED
    return read_monitoring_status(application.configuration.state_directory)


def notify_daemon(application: Application, gateways: Iterable[str] | None = None) -> None:
    """Make a running daemon look at the gateways that this command has changed, or at all."""
    if gateways is not None:
        for name in gateways:
            announce_change(application.configuration.state_directory, name)
        return
    process = application.store.daemon_pid()
    if process is not None:
        os.kill(process, signal.SIGUSR1)
