"""Starts the daemon's core process, after its first worker: the worker's imports take longer."""
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from gatecert.supervision.spawn import new_snapshot, spawn

if TYPE_CHECKING:
    from types import ModuleType

    from gatecert.cli.options import Options
    from gatecert.supervision.spawn import Spawned

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
    snapshot = new_snapshot()
    spawned = spawn(snapshot, debug=options.debug)
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment] # None: no import
    for name in NEVER_IN_CORE:
        modules.setdefault(name, None)
    _run_core(options, spawned, snapshot)


def _run_core(options: Options, spawned: Spawned, snapshot: int) -> None:
    import faulthandler
    import logging
    from pathlib import Path

    from gatecert.report import logs
    from gatecert.supervision.messages import Load
    from gatecert.supervision.worker_process import WorkerProcess

    path = Path(options.config)
    first = WorkerProcess(spawned)
    first.send(Load(str(path)))
    logs.configure(options.level(logging.INFO))
    faulthandler.enable()  # the watchdog stops a core that hangs with SIGABRT: show where it hung

    from gatecert.challenge.socket_activation import inherited_sockets
    from gatecert.daemon import Daemon
    from gatecert.report.service_manager import ServiceManager
    from gatecert.store import storage_errors

    storage_errors.runs_as_daemon = True
    service_manager, listeners = ServiceManager.from_environment(), inherited_sockets()
    Daemon(path, (first, snapshot), service_manager, listeners, debug=options.debug).run()
