"""``gatecert run``: the daemon."""

from __future__ import annotations

import faulthandler
import logging
from functools import partial
from pathlib import Path

import typer

from gatecert.challenge.socket_activation import inherited_sockets
from gatecert.cli.context import read_configuration
from gatecert.cli.options import options
from gatecert.config.load import load
from gatecert.daemon import Daemon
from gatecert.report.service_manager import ServiceManager
from gatecert.store import storage_errors
from gatecert.store.drop_root import drop_root_privileges


def run(context: typer.Context) -> None:
    """Run the daemon: keep every gateway's certificate valid.

    SIGHUP reloads the configuration, SIGUSR1 checks every gateway at once, SIGTERM stops.
    """
    given = options(context)
    faulthandler.enable()  # the watchdog stops a daemon that hangs with SIGABRT: show where it hung
    service_manager = ServiceManager.from_environment()
    configuration = read_configuration(context, logging.INFO)

    storage_errors.runs_as_daemon = True
    drop_root_privileges(configuration.state_directory, keep_bind=True)
    Daemon(
        configuration, partial(load, Path(given.config)), service_manager, inherited_sockets()
    ).run()
