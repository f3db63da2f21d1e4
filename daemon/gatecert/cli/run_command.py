"""``gatecert run``: the daemon."""

from __future__ import annotations

import typer

from gatecert.cli.daemon_start import run_daemon
from gatecert.cli.options import options


def run(context: typer.Context) -> None:
    """Run the daemon: keep every gateway's certificate valid.

    SIGHUP reloads the configuration, SIGUSR1 checks every gateway at once, SIGTERM stops.
    """
    run_daemon(options(context))
