"""``gatecert run``: the daemon."""

from __future__ import annotations

import faulthandler
import logging

import typer

from gatecert.cli.context import options


def run(context: typer.Context) -> None:
    """Look after every gateway until told to leave.

    SIGHUP reads the configuration again, SIGUSR1 looks at everything again now, SIGTERM leaves.
    """
    from gatecert.report.service_manager import ServiceManager  # noqa: PLC0415 - --help is quick

    given = options(context)
    faulthandler.enable()  # the watchdog ends a daemon that hangs by SIGABRT: say where it hung
    service_manager = ServiceManager.from_environment()
    given.configure_logs(logging.INFO)
    configuration = given.load()
    from gatecert.challenge.socket_activation import inherited_sockets  # noqa: PLC0415
    from gatecert.daemon import Daemon  # noqa: PLC0415 - a bad configuration is told at once
    from gatecert.store import storage_errors  # noqa: PLC0415
    from gatecert.store.drop_root import become_owner  # noqa: PLC0415

    storage_errors.acts_as_daemon = True
    become_owner(configuration.state_directory, keep_bind=True)
    Daemon(configuration, given.load, service_manager, inherited_sockets()).run()
