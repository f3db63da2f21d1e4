"""Work of the worker process: a configuration, and passes over its gateways."""

from __future__ import annotations

import faulthandler
import logging
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert.app import build
from gatecert.challenge.cleanup_thread import CleanupThread
from gatecert.config.load import load
from gatecert.config.targets import forwarded_listeners
from gatecert.errors import ConfigurationError, GatecertError, LockTimeoutError
from gatecert.lifecycle.gateway_pass import Occasion
from gatecert.report import logs
from gatecert.store import storage_errors
from gatecert.store.drop_root import drop_root_privileges
from gatecert.supervision.messages import (
    Configured,
    Done,
    Expect,
    Failed,
    Fetched,
    Forget,
    Invalid,
    Leave,
    Left,
    Load,
    Message,
    Open,
    Opened,
    Resume,
    Retain,
    Work,
)
from gatecert.supervision.workers import MOST_IN_HAND
from gatecert.system_calls import end_with_parent
from gatecert.worker import snapshot
from gatecert.worker.connection import Connection, RecordSender

if TYPE_CHECKING:
    from gatecert.app import Application
    from gatecert.config.schema import Configuration
    from gatecert.model import Outcome, Target

logger = logging.getLogger(__name__)

BROKEN: Final = 1  # exit code
STOP_SECONDS: Final = 7.0  # for passes that are interrupted


def run(connection: int, descriptor: int, *, debug: bool) -> None:
    """Serve the core until it asks to leave."""
    faulthandler.enable()  # SIGABRT shows where a pass hangs
    end_with_parent()
    core = Connection(socket.socket(fileno=connection))
    logs.send_to(RecordSender(core), logging.DEBUG if debug else logging.INFO)
    storage_errors.runs_as_daemon = True
    try:
        GatewayWorker(core, descriptor).serve()
    except Exception:
        logger.exception("the worker cannot go on")
        os._exit(BROKEN)  # without waiting for passes in progress, which resume from the disk


class GatewayWorker:
    """Runs what the core asks for.

    Args:
        core: The connection to the core.
        descriptor: The snapshot of the configuration.
    """

    def __init__(self, core: Connection, descriptor: int) -> None:
        self._core = core
        self._descriptor = descriptor
        self._cancelled = threading.Event()
        self._threads = ThreadPoolExecutor(MOST_IN_HAND, thread_name_prefix="pass")
        self._running = 0
        self._idle = threading.Condition()
        self._cleanup = CleanupThread()
        self._configuration: Configuration | None = None
        self._application: Application | None = None
        self._responder: CoreResponder | None = None

    def serve(self) -> None:
        """Handle messages until the core asks to leave."""
        for message in self._core.messages():
            self._handle(message)

    def _handle(self, message: Message) -> None:
        match message:
            case Load(path=path):
                self._load(Path(path))
            case Resume():
                self._configuration = snapshot.read(self._descriptor)
            case Open():
                self._open(message)
            case Retain(unsaved=unsaved):
                self.application.pipeline.states.take_over(unsaved)
            case Work():
                with self._idle:
                    self._running += 1
                self._threads.submit(self._work, message)
                self._cleanup.run_if_due(self.application.solvers)
            case Leave():
                # Beside this loop, since passes in progress need what the core sends.
                threading.Thread(target=self._leave, args=(message,), name="leave").start()
            case Fetched(token=token) if self._responder is not None:
                self._responder.fetched(token)

    # ------------------------------------------------------------------ configuration

    @property
    def application(self) -> Application:
        """The parts that were built from the configuration.

        Raises:
            RuntimeError: Nothing was yet.
        """
        if self._application is None:
            raise RuntimeError("work before a configuration")
        return self._application

    def _load(self, path: Path) -> None:
        try:
            configuration = self._configuration = load(path)
            snapshot.write(self._descriptor, configuration)
        except ConfigurationError as error:
            problems = [[each.where, each.key, each.what] for each in error.problems]
            self._core.send(Invalid(problems))
        except GatecertError as error:
            self._core.send(Failed(error.message, error.fix))
        else:
            settings = configuration.worker
            self._core.send(
                Configured(
                    str(configuration.state_directory),
                    list(configuration.gateways),
                    settings.longest_pass.total_seconds(),
                    settings.idle.total_seconds(),
                    settings.memory,
                    {
                        kind: list(map(str, endpoints))
                        for kind, endpoints in forwarded_listeners(configuration).items()
                    },
                )
            )

    def _open(self, message: Open) -> None:
        configuration = self._configuration
        if configuration is None:
            raise RuntimeError("nothing was loaded")
        try:
            drop_root_privileges(configuration.state_directory, keep_bind=True)
            end_with_parent()
        except GatecertError as error:
            self._core.send(Failed(error.message, error.fix))
            return
        if message.listening:
            self._responder = CoreResponder(self._core)
        self._application = build(
            configuration, self._core.progress, self._cancelled, self._responder
        )
        self.application.pipeline.states.take_over(message.unsaved)
        stamps = {}
        if message.changed:
            stamps = {name: self.application.stamp(name) for name in self.application.targets}
        self._core.send(Opened(stamps))
        if message.changed:
            self.application.warn_of_listeners()

    # ------------------------------------------------------------------ work

    def _work(self, work: Work) -> None:
        try:
            done = self._done(work)
        except Exception:
            logger.exception("unexpected error gateway=%s", work.gateway)
            done = Done(work.gateway)
        self._core.send(done)
        with self._idle:
            self._running -= 1
            idle = not self._running
            self._idle.notify_all()
        if idle:  # an order that was resumed has used what a crash had left behind
            self._cleanup.run(self.application.solvers)

    def _done(self, work: Work) -> Done:
        target = self.application.targets.get(work.gateway)
        if target is None:  # a gateway of a configuration before
            return Done(work.gateway)
        try:
            outcome = self._outcome(work, target)
        except LockTimeoutError as error:
            logger.debug("busy gateway=%s %s", work.gateway, error)
            return Done(work.gateway, busy=True)
        except GatecertError as error:
            logger.error("gateway=%s pass failed: %s", work.gateway, error)  # noqa: TRY400
            return Done(work.gateway)
        stamp = self.application.stamp(work.gateway)
        if outcome is None:
            return Done(work.gateway, stamp=stamp)
        return Done(
            work.gateway,
            outcome.kind,
            outcome.detail,
            outcome.code,
            outcome.fix,
            outcome.seconds,
            outcome.next_at.isoformat(timespec="seconds") if outcome.next_at else "",
            outcome.wake_at.timestamp() if outcome.wake_at else 0.0,
            stamp,
        )

    def _outcome(self, work: Work, target: Target) -> Outcome | None:
        pipeline = self.application.pipeline
        if work.lost:
            return pipeline.count_loss(target, work.lost)
        prepared = pipeline.prepare(target) if work.prepare else None
        if not work.attend:
            return prepared
        return pipeline.attend(target, Occasion(look_now=work.look_now))

    # ------------------------------------------------------------------ end

    def _leave(self, message: Leave) -> None:
        """End the process, after the passes in progress."""
        if message.now:
            self._cancelled.set()
        with self._idle:
            self._idle.wait_for(
                lambda: not self._running, timeout=STOP_SECONDS if message.now else None
            )
        states = self._application.pipeline.states.unsaved_states() if self._application else {}
        self._core.send(Left(states))
        os._exit(0)


@dataclass(slots=True)
class CoreResponder:
    """Answers http-01 through the core, which holds the inherited sockets.

    Attributes:
        core: The connection to the core.
    """

    core: Connection
    _expected: dict[str, threading.Event] = field(default_factory=dict)

    def expect(self, token: str, fetched: threading.Event) -> None:
        """Set ``fetched`` once the response for a token is fetched."""
        self._expected[token] = fetched
        self.core.send(Expect(token))

    def forget(self, token: str) -> None:
        """Stop expecting a token; an unknown one is not an error."""
        self._expected.pop(token, None)
        self.core.send(Forget(token))

    def fetched(self, token: str) -> None:
        """Note that the CA has fetched the response for a token."""
        fetched = self._expected.get(token)
        if fetched is not None:
            fetched.set()
