"""``gatecert run``: the daemon."""

from __future__ import annotations

import faulthandler
import logging
from pathlib import Path

import typer

from gatecert.challenge.socket_activation import inherited_sockets
from gatecert.cli.options import options
from gatecert.daemon import Daemon
from gatecert.report import logs
from gatecert.report.service_manager import ServiceManager
from gatecert.store import storage_errors


def run(context: typer.Context) -> None:
    """Run the daemon: keep every gateway's certificate valid.

    SIGHUP reloads the configuration, SIGUSR1 checks every gateway at once, SIGTERM stops.
    """
    given = options(context)
    faulthandler.enable()  # the watchdog stops a daemon that hangs with SIGABRT: show where it hung
    logs.configure(logging.DEBUG if given.debug else logging.INFO)
    storage_errors.runs_as_daemon = True
    service_manager = ServiceManager.from_environment()
    Daemon(Path(given.config), service_manager, inherited_sockets(), debug=given.debug).run()
