"""Starts the daemon's core process."""

from __future__ import annotations

import faulthandler
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert.challenge.socket_activation import inherited_sockets
from gatecert.report import logs
from gatecert.report.service_manager import ServiceManager
from gatecert.store import storage_errors
from gatecert.supervision.worker_process import load_configuration

if TYPE_CHECKING:
    from types import ModuleType

    from gatecert.cli.options import Options

NEVER_IN_CORE: Final = (
    "acme",
    "cryptography",
    "dns",
    "josepy",
    "pydantic",
    "requests",
    "ssl",  # asyncio, which APScheduler imports, does without
)


def run_daemon(options: Options) -> None:
    """Run the daemon until it is stopped.

    Raises:
        GatecertError: It cannot start.
    """
    logs.configure(logging.DEBUG if options.debug else logging.INFO)
    faulthandler.enable()  # the watchdog stops a core that hangs with SIGABRT: show where it hung
    storage_errors.runs_as_daemon = True
    service_manager, listeners = ServiceManager.from_environment(), inherited_sockets()
    path, debug = Path(options.config), options.debug
    first = load_configuration(path, debug=debug)  # while this process imports the rest

    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment] # None: no import
    for name in NEVER_IN_CORE:
        modules.setdefault(name, None)
    from gatecert.daemon import Daemon  # noqa: PLC0415 - after the lines above

    Daemon(path, first, service_manager, listeners, debug=debug).run()
