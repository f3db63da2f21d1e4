"""The resident process: signals, the service manager's protocol and the timetable.

The main thread waits for signals on a wakeup descriptor; each pass over a gateway runs in one of
the scheduler's threads.

- SIGHUP reads the configuration again; a faulty one is reported and the old one stays in force.
- SIGTERM and SIGINT end the process within ten seconds; an order in progress is kept and resumed.
- SIGUSR1 starts a pass over every gateway at once, names and renewal information included.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from gatecert.app import build, utc_now
from gatecert.challenge.cleanup_thread import CleanupThread
from gatecert.challenge.socket_activation import SocketActivatedResponder
from gatecert.errors import ConfigurationError, GatecertError, LockTimeoutError
from gatecert.lifecycle.gateway_pass import Occasion
from gatecert.model import Outcome, OutcomeKind
from gatecert.report.progress import ProgressLog
from gatecert.schedule.timers import HEARTBEAT, Timers
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from gatecert.app import Application
    from gatecert.config.schema import Configuration
    from gatecert.model import Target
    from gatecert.report.service_manager import ServiceManager

logger = logging.getLogger(__name__)

HEARTBEAT_TIMEOUT = 6 * HEARTBEAT
STOP_SECONDS = 8.0
BUSY_PAUSE = timedelta(seconds=1)
SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Daemon:
    """Runs passes over every gateway until it is stopped.

    Args:
        configuration: The configuration to start with.
        load: Reads the configuration again.
        service_manager: Is notified of readiness, reloads and status.
        listeners: Sockets for http-01 that the service manager opened.
    """

    def __init__(
        self,
        configuration: Configuration,
        load: Callable[[], Configuration],
        service_manager: ServiceManager,
        listeners: Sequence[socket.socket] = (),
    ) -> None:
        self._load = load
        self._service_manager = service_manager
        self._cancelled = threading.Event()
        tokens = FileStore(configuration.state_directory)
        self._responder = SocketActivatedResponder(listeners, tokens) if listeners else None
        self._progress = ProgressLog()
        self.application = build(configuration, self._progress, self._cancelled, self._responder)
        self._timers = Timers(self.attend)
        self._cleanup = CleanupThread()
        self._outcomes: dict[str, Outcome] = {}
        self._reporting = threading.Lock()
        self._look_now: set[str] = set()
        self._unprepared: set[str] = set()

    def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises:
            DaemonRunningError: Another daemon holds the state directory.
            StorageError: The state directory cannot be used.
        """
        with self.application.store.hold_state_directory():
            with _SignalPipe() as signals:
                self.prepare()
                self._service_manager.ready()
                logger.info("ready gateways=%d", len(self.application.targets))
                self._timers.start(self.application.targets)
                self._cleanup.run_if_due(self.application.solvers)
                self._wait(signals)
            self._stop()

    def prepare(self) -> None:
        """Prepare every gateway; one that another process is changing waits for its next pass."""
        self.application.warn_of_listeners()
        for target in self.application.targets.values():
            try:
                self._prepare_gateway(self.application, target)
            except LockTimeoutError as error:
                self._unprepared.add(target.name)
                logger.info("prepared later gateway=%s %s", target.name, error.message)

    def _prepare_gateway(self, application: Application, target: Target) -> None:
        """Prepare a gateway; log why it cannot be prepared.

        Raises:
            LockTimeoutError: Another process is changing it.
        """
        try:
            outcome = application.pipeline.prepare(target)
        except LockTimeoutError:
            raise
        except GatecertError as error:
            logger.error("gateway=%s cannot be prepared: %s", target.name, error)  # noqa: TRY400
        else:
            if outcome is not None:
                self._report(outcome)
        self._unprepared.discard(target.name)

    def _wait(self, signals: _SignalPipe) -> None:
        watchdog = self._service_manager.watchdog
        interval = min(HEARTBEAT, watchdog / 3) if watchdog else HEARTBEAT
        while True:
            for number in signals.wait(interval):
                match number:
                    case signal.SIGHUP:
                        self.reload()
                    case signal.SIGUSR1:
                        logger.info("starting a pass over every gateway")
                        self._look_now.update(self.application.targets)
                        self._timers.wake()
                    case _:
                        logger.info("stopping signal=%s", signal.Signals(number).name)
                        return
            self._timers.check_clock()
            self._cleanup.run_if_due(self.application.solvers)
            if self._timers.seconds_since_heartbeat < HEARTBEAT_TIMEOUT:
                self._service_manager.alive()

    def reload(self) -> None:
        """Read the configuration again; a faulty one is reported and changes nothing."""
        self._service_manager.reloading()
        try:
            configuration = self._load()
            if configuration.state_directory != self.application.configuration.state_directory:
                logger.error(
                    "a reload cannot change state_directory, the old configuration stays in force: "
                    "restart gatecert"
                )
                return
            application = build(configuration, self._progress, self._cancelled, self._responder)
            application.pipeline.states.inherit(self.application.pipeline.states)
            self.application = application
            self.prepare()
            self._timers.replace(self.application.targets)
            logger.info("configuration reloaded gateways=%d", len(self.application.targets))
        except ConfigurationError as error:
            for problem in error.problems:
                logger.error("%s", problem)  # noqa: TRY400
            logger.error("configuration is invalid, the old one stays in force")  # noqa: TRY400
        finally:
            self._service_manager.ready()

    def attend(self, name: str) -> datetime | None:
        """Run a pass over a gateway; return when to run again, None for on an event."""
        application = self.application
        target = application.targets.get(name)
        if target is None:
            return None
        occasion = Occasion(look_now=name in self._look_now)
        self._look_now.discard(name)
        try:
            if name in self._unprepared:
                self._prepare_gateway(application, target)
            outcome = application.pipeline.attend(target, occasion)
        except LockTimeoutError as error:
            logger.debug("busy gateway=%s %s", name, error)
            return utc_now() + BUSY_PAUSE
        except GatecertError as error:
            logger.error("gateway=%s pass failed: %s", name, error)  # noqa: TRY400
            return None
        finally:
            if application is not self.application:  # a reload changed what is wanted
                self._unprepared.add(name)
        self._report(outcome)
        return outcome.wake_at

    def _report(self, outcome: Outcome) -> None:
        """Log an outcome: a failure always, anything else when it changes."""
        with self._reporting:
            before = self._outcomes.get(outcome.gateway)
            self._outcomes[outcome.gateway] = outcome
            known = [
                one
                for name, one in sorted(self._outcomes.items())
                if name in self.application.targets
            ]
        news = before is None or (before.kind, before.detail) != (outcome.kind, outcome.detail)
        level = logging.INFO if news and outcome.kind is not OutcomeKind.IDLE else logging.DEBUG
        logger.log(
            logging.ERROR if outcome.failed else level,
            "%s gateway=%s %s%s seconds=%.3f next=%s",
            outcome.kind,
            outcome.gateway,
            outcome.detail,
            f" fix={outcome.fix}" if outcome.fix else "",
            outcome.seconds,
            outcome.next_at.isoformat(timespec="seconds") if outcome.next_at else "on an event",
            extra={"fields": {"outcome": outcome.kind, "code": outcome.code, "fix": outcome.fix}},
        )
        self._service_manager.status(
            "; ".join(f"{one.gateway}: {one.kind}, {one.detail}" for one in known)
        )

    def _stop(self) -> None:
        self._service_manager.stopping()
        self._cancelled.set()
        if not self._timers.stop(STOP_SECONDS):
            logger.warning("stopped during a pass; the next start resumes it")
            logging.shutdown()
            os._exit(0)
        logger.info("stopped")


class _SignalPipe:
    """Signals as numbers from a pipe, so that no handler interrupts the main thread."""

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._descriptor_before = signal.set_wakeup_fd(self._write)
        self._before = {number: signal.signal(number, _ignore) for number in SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._descriptor_before)
        os.close(self._read)
        os.close(self._write)

    def wait(self, seconds: float) -> list[int]:
        """Return the signals that arrive within that time."""
        ready, _, _ = select.select([self._read], [], [], seconds)
        return list(os.read(self._read, 4096)) if ready else []


def _ignore(number: int, frame: object) -> None:
    """Do nothing: Python writes to the wakeup descriptor only for signals with a handler."""
