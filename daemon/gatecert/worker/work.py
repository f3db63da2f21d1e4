"""Work of the worker process: a configuration, and passes over its gateways."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gatecert.app import Watching, build, open_store
from gatecert.challenge.cleanup_thread import CleanupThread
from gatecert.config.following_plan import following_plan
from gatecert.config.load import load
from gatecert.config.monitoring_plan import monitoring_plan
from gatecert.config.targets import forwarded_listeners
from gatecert.errors import (
    ConfigurationError,
    GatecertError,
    LockTimeoutError,
    SealingKeyMissingError,
)
from gatecert.lifecycle.gateway_pass import Occasion
from gatecert.report import logs
from gatecert.store import storage_errors
from gatecert.store.drop_root import drop_root_privileges
from gatecert.supervision.child_connection import Connection
from gatecert.supervision.field_turns import PAUSE, TURNS
from gatecert.supervision.messages import (
    Configured,
    Described,
    Done,
    Expect,
    Failed,
    Fetched,
    Forget,
    Invalid,
    Leave,
    Left,
    Load,
    Measured,
    Message,
    Open,
    Opened,
    Resume,
    Retain,
    Unreadable,
    Work,
)
from gatecert.supervision.plain_values import to_plain
from gatecert.supervision.record_sender import RecordSender
from gatecert.supervision.workers import MOST_IN_HAND
from gatecert.system_calls import end_with_parent
from gatecert.worker import snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatecert.app import Application
    from gatecert.config.schema import Configuration
    from gatecert.lifecycle.gateway_pass import Pass
    from gatecert.model import Outcome, Target

logger = logging.getLogger(__name__)

BROKEN: Final = 1  # exit code
STOP_SECONDS: Final = 7.0  # for passes that are interrupted


def run(connection: int, descriptor: int, *, debug: bool) -> None:
    """Serve the core until it asks to leave."""
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
        self._monitored = False

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
            fleet = configuration.fleet
            monitoring, following = _monitoring(configuration), _following(configuration)
            open_store(configuration)  # without its keys and libraries, no worker could work
            snapshot.write(self._descriptor, configuration)
        except ConfigurationError as error:
            problems = [[each.where, each.key, each.what] for each in error.problems]
            self._core.send(Invalid(problems))
        except SealingKeyMissingError as error:
            self._core.send(Invalid([["fleet", "sealing_keys", str(error)]]))
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
                    monitoring,
                    following=following,
                    issues=fleet is not None and fleet.issue is not None,
                )
            )

    def _open(self, message: Open) -> None:
        configuration = self._configuration
        if configuration is None:
            raise RuntimeError("nothing was loaded")
        try:
            drop_root_privileges(configuration.state_directory, keep_bind=True)
            end_with_parent()
            self._monitored = message.monitored
            if message.listening:
                self._responder = CoreResponder(self._core)
            self._application = build(
                configuration,
                self._core.progress,
                self._cancelled,
                self._responder,
                Watching(self._measure, self._describe) if self._monitored else None,
            )
        except GatecertError as error:
            self._core.send(Failed(error.message, error.fix))
            return
        self.application.pipeline.states.take_over(message.unsaved)
        stamps = {}
        if message.changed and configuration.fleet is None:  # else the rows may have changed
            stamps = {name: self.application.stamp(name) for name in self.application.targets}
        self._core.send(Opened(stamps))
        if self._monitored:
            self.application.measure_budgets()
        if message.changed:
            self.application.warn_of_listeners()

    # ------------------------------------------------------------------ work

    def _work(self, work: Work) -> None:
        try:
            done = self._turn(work) if work.gateway in TURNS else self._done(work)
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
        if work.describes_only:
            self._describe(self.application.open(target))
            return Done(work.gateway, described_only=True)
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

    def _turn(self, work: Work) -> Done:
        """Order for a gateway in the field; after a loss, the next turn does."""
        issuer = self.application.field_issuer
        if work.lost:
            issuer.count_loss(work.lost)
        is_again = not work.lost and issuer.turn()
        pause = 0.0 if is_again else PAUSE.total_seconds()
        return Done(work.gateway, wake_at=time.time() + pause)

    def _outcome(self, work: Work, target: Target) -> Outcome | None:
        pipeline = self.application.pipeline
        if work.lost:
            return pipeline.count_loss(target, work.lost)
        prepared = pipeline.prepare(target) if work.prepare else None
        if not work.attend:
            return prepared
        return pipeline.attend(target, Occasion(look_now=work.look_now))

    def _measure(self, name: str, labels: Mapping[str, str], value: float) -> None:
        """Send a measurement, for the monitor."""
        self._core.send(Measured(name, dict(labels), value))

    def _describe(self, current: Pass) -> None:
        """Send the status of the gateway of a pass, for the monitor; never fail."""
        try:
            cluster = self.application.store.cluster_view([current.target.name])
            status = self.application.describe(current, cluster)
        except Exception as error:  # noqa: BLE001 - whatever it is, the pass has ended well
            self._core.send(_unreadable(current.target.name, error))
            return
        self._core.send(Described(current.target.name, to_plain(status)))

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


def _monitoring(configuration: Configuration) -> dict[str, Any]:
    """Return the plan of the monitor in plain values; empty if nothing is to be monitored."""
    plan = monitoring_plan(configuration)
    return to_plain(plan) if plan.is_needed else {}


def _following(configuration: Configuration) -> dict[str, Any]:
    """Return the plan of the follower in plain values; empty without a fleet."""
    plan = following_plan(configuration)
    return {} if plan is None else to_plain(plan)


def _unreadable(gateway: str, error: Exception) -> Unreadable:
    if not isinstance(error, GatecertError):
        logger.error("unexpected error gateway=%s", gateway, exc_info=error)
        error = GatecertError(f"unexpected error: {error!r}")
    return Unreadable(gateway, time.time(), error.code, error.message, error.fix)


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
