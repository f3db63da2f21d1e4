"""The resident core process: signals, the service manager's protocol, the timetable, workers.

The core waits in one place for whatever comes first: a signal, a message of a worker, the instant
at which a gateway is due, a change of the wall clock, or a command that has changed a gateway. It
does no work itself: a worker process does (``worker``), which is started when something is due and
leaves when nothing is. So the core stays small: it imports no library for cryptography, HTTP, DNS
or validation, and parses nothing that a CA, a server or the configuration file says.

- SIGHUP reads the configuration again; a faulty one is reported and the old one stays in force.
- SIGTERM and SIGINT end the process within ten seconds; an order in progress is kept and resumed.
- SIGUSR1 starts a pass over every gateway at once, names and renewal information included.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert.challenge.socket_activation import NAME as HTTP_01
from gatecert.errors import ConfigurationError, Problem, StateError, WorkerLostError
from gatecert.schedule.timetable import Timetable
from gatecert.store.drop_root import drop_root_privileges
from gatecert.store.state_directory import (
    hold_state_directory,
    read_schedule,
    write_schedule,
)
from gatecert.supervision.changes import Changes
from gatecert.supervision.field_turns import PAUSE, TURNS
from gatecert.supervision.follower_link import FollowerLink
from gatecert.supervision.gateways import Gateways
from gatecert.supervision.held_listeners import HeldListeners
from gatecert.supervision.messages import (
    Configured,
    Described,
    Done,
    Expect,
    Failed,
    Forget,
    Invalid,
    Measured,
    Message,
    Open,
    Opened,
    Record,
    Step,
    Unreadable,
    Work,
)
from gatecert.supervision.monitor_link import MonitorLink
from gatecert.supervision.signal_pipe import SignalPipe
from gatecert.supervision.worker_log import WorkerLog
from gatecert.supervision.worker_process import (
    WorkerProcess,
    load_configuration,
    start_follower,
    start_monitor,
    start_worker,
)
from gatecert.supervision.workers import Worker, Workers
from gatecert.system_calls import WallClockTimer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from gatecert.report.service_manager import ServiceManager
    from gatecert.supervision.challenge_answers import ChallengeAnswers
    from gatecert.supervision.kept_process import LastingProcess
    from gatecert.supervision.workers import Process

logger = logging.getLogger(__name__)

STOP_SECONDS: Final = 9.0
WATCHDOG_SHARE: Final = 3  # notifications within the service manager's limit
BUSY_PAUSE: Final = timedelta(seconds=5)  # until a gateway is tried that a command is changing
UNKNOWN_PAUSE: Final = timedelta(seconds=60)  # after a pass that could not tell when to run again
SHORTEST_PAUSE: Final = timedelta(milliseconds=200)
LATEST: Final = 250_000_000_000.0  # seconds since the epoch; a datetime ends soon after
LONGEST_WAIT: Final = 366 * 86400.0  # seconds; the timer is always set, to notice a set clock
SCHEDULE_PAUSE: Final = 60.0  # seconds between two writes of the schedule while workers work
CLOCK_TOLERANCE: Final = 2.0  # seconds
SIGNALS: Final = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Daemon:
    """Has passes run over every gateway until it is stopped.

    Args:
        path: The configuration file.
        first: The worker that reads the configuration already, and its snapshot.
        service_manager: Is notified of readiness, reloads and status.
        listeners: Sockets for http-01 that the service manager opened.
        debug: Whether workers log everything.
    """

    def __init__(
        self,
        path: Path,
        first: tuple[WorkerProcess, int],
        service_manager: ServiceManager,
        listeners: Sequence[socket.socket] = (),
        *,
        debug: bool = False,
    ) -> None:
        self._path = path
        self._first = first
        self._service_manager = service_manager
        self._listeners = listeners
        self._debug = debug
        self._log = WorkerLog()
        self._gateways = Gateways(service_manager)
        self._timetable = Timetable()
        self._workers = Workers(self._start_worker, self)
        self._monitor = MonitorLink(
            partial(start_monitor, debug=debug), self._log, self._attach_monitor, self._detach
        )
        self._follower = FollowerLink(
            partial(start_follower, debug=debug),
            self._log,
            self._attach_follower,
            self._detach,
            self._look,
            self._monitor.forward,
        )
        self._held = HeldListeners()
        self._selector = selectors.DefaultSelector()
        self._resources = ExitStack()
        self._clock = WallClockTimer()
        self._clock_offset = _clock_offset()
        self._changes: Changes | None = None
        self._directory: Path | None = None
        self._snapshot = -1
        self._loading: tuple[Worker, int] | None = None
        self._load_again = False
        self._opening: Worker | None = None
        self._preparing: set[str] = set()
        self._turns: tuple[str, ...] = ()  # at orders for gateways in the field
        self._unprepared: set[str] = set()
        self._ready = False
        self._stopping = False
        self._answers: ChallengeAnswers | None = None
        self._schedule_changed = False
        self._schedule_written = float("-inf")

    def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises:
            ConfigurationError: The configuration is not valid.
            DaemonRunningError: Another daemon holds the state directory.
            StateError: The state directory cannot be used, or no worker can work.
        """
        with self._resources, SignalPipe(SIGNALS) as signals:
            self._watch(signals, partial(self._take_signals, signals))
            self._watch(self._clock, self._clock_fired)
            self._resources.callback(self._held.close)
            self._watch(self._held, self._held.turn_away)
            try:
                self._begin_loading(*self._first)
                while not self._stopping:
                    self._wait()
                self._stop()
            finally:
                self._workers.kill()
                self._monitor.stop()
                self._follower.stop()

    # ------------------------------------------------------------------ the event loop

    def _wait(self, longest: float | None = None) -> None:
        """Wait until something happens, or for some seconds, and handle it."""
        now, instant = time.time(), self._timetable.next_instant()
        self._clock.set(min(instant or now + LONGEST_WAIT, now + LONGEST_WAIT))
        for worker in self._workers.all:
            events = selectors.EVENT_READ | worker.process.has_unsent * selectors.EVENT_WRITE
            self._selector.modify(worker.process, events, partial(self._serve, worker))
        for kept in (self._monitor, self._follower):
            if kept.process is not None:
                events = selectors.EVENT_READ | kept.process.has_unsent * selectors.EVENT_WRITE
                self._selector.modify(kept.process, events, kept.serve)
        watchdog = self._service_manager.watchdog
        pauses = [
            longest,
            self._workers.seconds(),
            self._monitor.seconds(),
            self._follower.seconds(),
            watchdog / WATCHDOG_SHARE if watchdog else None,
            self._changes.seconds if self._changes is not None else None,
        ]
        seconds = min((each for each in pauses if each is not None), default=None)
        for key, _ in self._selector.select(seconds):
            key.data()
        if watchdog:
            self._service_manager.alive()
        if self._changes is not None and self._changes.seconds is not None:
            self._take_changes()
        if not self._stopping:
            for name in self._timetable.due():
                self._give(name)
            self._monitor.check()
            self._follower.check()
            for name in self._monitor.to_describe(self._workers.in_hand):
                self._workers.give(Work(name, attend=False))
        self._workers.check()
        self._write_schedule()

    def _watch(self, source: Any, handle: Callable[[], None]) -> None:  # noqa: ANN401 - has fileno()
        self._selector.register(source, selectors.EVENT_READ, handle)

    def _serve(self, worker: Worker) -> None:
        """Exchange messages with a worker, unless an event before this one has ended it."""
        if worker in self._workers.all:
            worker.process.flush()
            self._workers.readable(worker)

    def _take_signals(self, signals: SignalPipe) -> None:
        for number in signals.read():
            match number:
                case signal.SIGHUP:
                    self._reload()
                case signal.SIGUSR1:
                    logger.info("starting a pass over every gateway")
                    for name in sorted(self._gateways.names):
                        self._give(name, look_now=True)
                case _:
                    logger.info("stopping signal=%s", signal.Signals(number).name)
                    self._stopping = True

    def _clock_fired(self) -> None:
        """Run a pass over every gateway if the wall clock was set.

        Timers wait for its instants, which mean something else now. A suspend sets nothing: what
        has become due meanwhile is due.
        """
        if not self._clock.clock_was_set():
            return
        offset = _clock_offset()
        jump, self._clock_offset = offset - self._clock_offset, offset
        if abs(jump) > CLOCK_TOLERANCE:
            logger.warning("clock jumped, checking every gateway seconds=%.0f", jump)
            for name in sorted(self._gateways.names):
                self._give(name)

    def _take_changes(self) -> None:
        """Run a pass over the gateways that other processes have changed."""
        if self._changes is not None:
            for name in self._changes.changed(self._workers.in_hand):
                self._unprepared.add(name)  # whatever was changed, something has to be served
                self._give(name)

    def _stop(self) -> None:
        """Have the workers leave, and kill those that do not."""
        self._service_manager.stopping()
        end = time.monotonic() + STOP_SECONDS
        self._workers.interrupt()
        self._follower.stop()  # while the workers leave
        while self._workers.all and time.monotonic() < end:
            self._wait(end - time.monotonic())
        unfinished = self._workers.interrupted | self._workers.in_hand
        self._workers.kill()
        self._write_schedule(last=True)
        if unfinished:
            logger.warning("stopped during a pass; the next start resumes it")
        else:
            logger.info("stopped")

    # ------------------------------------------------------------------ the configuration

    def _begin_loading(self, process: WorkerProcess, snapshot: int) -> None:
        """Wait for a worker that reads the configuration file."""
        self._loading = (self._workers.begin_loading(process), snapshot)

    def _reload(self) -> None:
        """Read the configuration again, or once more after it has been read."""
        if self._loading is not None or self._opening is not None:
            self._load_again = True
            return
        if self._ready:
            self._service_manager.reloading()
        try:
            self._begin_loading(*load_configuration(self._path, debug=self._debug))
        except OSError as error:
            self._refuse([f"no worker can be started: {error}"])

    def _refuse(
        self, problems: Iterable[str], what: str = "configuration not reloaded", code: str = ""
    ) -> None:
        """Report why the old configuration stays in force."""
        if self._loading is not None:
            (worker, snapshot), self._loading = self._loading, None
            os.close(snapshot)
            if worker in self._workers.all:
                self._workers.discard(worker)
        for problem in problems:
            logger.error("%s", problem)
        fields = {"fields": {"code": code}}
        logger.error("%s, the old one stays in force", what, extra=fields)
        self._end_reload()

    def _configured(self, worker: Worker, found: Configured) -> None:
        """Work with a configuration that a worker has read.

        Raises:
            DaemonRunningError: Another daemon holds the state directory.
            StateError: The state directory cannot be used.
        """
        if self._loading is None or worker is not self._loading[0]:
            return
        directory = Path(found.state_directory)
        if self._directory is None:
            self._hold(directory)
        elif directory != self._directory:
            self._refuse(["a reload cannot change state_directory: restart gatecert"])
            return
        if self._snapshot != -1:
            os.close(self._snapshot)
        self._opening, self._snapshot = self._loading
        self._loading = None
        self._turns = TURNS if found.issues else ()
        self._workers.keep([*found.gateways, *self._turns])
        self._workers.adopt(worker, found)
        self._gateways.keep(found.gateways)
        self._monitor.keep(found.monitoring, found.gateways)
        monitored = self._workers.monitored = self._monitor.is_wanted
        self._timetable.keep([*found.gateways, *self._turns])
        if self._changes is not None:
            self._changes.keep(found.gateways)
        inherited = {HTTP_01} if self._listeners else set()
        self._held.keep({kind: found.held[kind] for kind in found.held.keys() - inherited})
        listening = self._workers.listening = bool(self._listeners)
        self._follower.keep(found.following, listening=listening)
        worker.process.send(
            Open(self._workers.unsaved, listening=listening, changed=True, monitored=monitored)
        )

    def _hold(self, directory: Path) -> None:
        """Hold the state directory, as its owner, and learn of what commands change in it."""
        drop_root_privileges(directory, keep_bind=True, for_children=True)
        self._resources.enter_context(hold_state_directory(directory))
        self._directory = directory
        self._changes = Changes(directory)
        self._resources.callback(self._changes.close)
        if self._changes.watch is not None:
            self._watch(self._changes.watch, self._take_changes)
        if self._listeners:
            self._answer_challenges(directory)

    def _answer_challenges(self, directory: Path) -> None:
        """Answer http-01 on inherited sockets."""
        from gatecert.supervision.challenge_answers import (  # noqa: PLC0415 - seldom needed
            ChallengeAnswers,
        )

        self._answers = ChallengeAnswers(self._listeners, directory)
        self._resources.callback(self._answers.close)
        self._watch(self._answers, self._answers.tell)

    def _opened(self, stamps: Mapping[str, str]) -> None:
        """Prepare the gateways that are not known to be in order, and run a pass over each.

        Args:
            stamps: By gateway, what stands on the disk; missing if that is unknown.
        """
        self._opening = None
        self._preparing.clear()
        known = self._schedule()
        if not self._ready and self._directory is not None:
            known = read_schedule(self._directory)
        in_hand = self._workers.in_hand
        for name in sorted(self._gateways.names):
            at, stamp = known.get(name, (0.0, ""))
            if stamp and stamp == stamps.get(name) and 0 < at < LATEST:
                self._gateways.take_over(name, stamp)
                self._follow(name)
                self._timetable.schedule(name, datetime.fromtimestamp(at, UTC))
            elif name in in_hand:  # a pass under the configuration before
                self._unprepared.add(name)
            else:
                self._preparing.add(name)
        self._gateways.announce()
        for name in sorted(self._preparing):
            self._workers.give(Work(name, prepare=True, attend=False))
        self._ready_if_prepared()
        for number, turn in enumerate(self._turns):
            if turn not in in_hand:
                first = datetime.now(UTC) + PAUSE * number / len(self._turns)
                self._timetable.schedule(turn, first)

    def _ready_if_prepared(self) -> None:
        if not self._preparing:
            event = "configuration reloaded" if self._ready else "ready"
            logger.info("%s gateways=%d", event, len(self._gateways.names))
            self._ready = True
            self._monitor.ready()
            self._end_reload()

    def _end_reload(self) -> None:
        if self._ready:
            self._service_manager.ready()
        if self._load_again:
            self._load_again = False
            self._reload()

    # ------------------------------------------------------------------ workers

    def _start_worker(self) -> WorkerProcess:
        return start_worker(self._snapshot, debug=self._debug)

    def _attach_monitor(self, process: LastingProcess) -> None:
        self._watch(process, self._monitor.serve)

    def _attach_follower(self, process: LastingProcess) -> None:
        self._watch(process, self._follower.serve)

    def _look(self, gateways: Iterable[str]) -> None:
        """Run a pass over gateways of which other hosts have news."""
        for name in gateways:
            self._give(name)

    def _detach(self, process: Process) -> None:
        self._selector.unregister(process)

    def started(self, worker: Worker) -> None:
        """Listen to a new worker."""
        logger.debug("worker started pid=%d", worker.process.pid)
        self._watch(worker.process, partial(self._serve, worker))

    def received(self, worker: Worker, message: Message) -> None:
        """Handle a message of a worker.

        Raises:
            ConfigurationError: The first configuration is not valid.
            StateError: The first worker cannot work.
        """
        match message:
            case Record():
                self._log.record(message)
            case Step():
                self._log.step(message)
            case Described() | Unreadable() | Measured():
                self._monitor.forward(message, is_old=not self._workers.takes_work(worker))
            case Done(described_only=True):
                self._monitor.done(message.gateway)
            case Done() if message.gateway in self._gateways.names:
                self._done(worker, message)
            case Done() if message.gateway in self._turns:
                self._timetable.schedule(message.gateway, _instant(message, PAUSE))
            case Expect(token=token) if self._answers is not None:
                self._answers.expect(token, worker)
            case Forget(token=token) if self._answers is not None:
                self._answers.forget(token)
            case _:
                self._received_configuration(worker, message)

    def _received_configuration(self, worker: Worker, message: Message) -> None:
        match message:
            case Configured():
                self._configured(worker, message)
            case Opened(stamps=stamps) if worker is self._opening:
                self._opened(stamps)
            case Invalid(problems=problems):
                found = [Problem(*(*each, "", "", "")[:3]) for each in problems]
                if self._snapshot == -1:
                    raise ConfigurationError(found)
                self._refuse(map(str, found), "configuration is invalid", ConfigurationError.code)
            case Failed(message=words, fix=fix):
                if self._snapshot == -1:
                    raise StateError(words, fix=fix)
                if self._loading is not None and worker is self._loading[0]:
                    self._refuse([words])
                else:
                    self._workers.reject(worker, f"{words} ({fix})" if fix else words)

    def gone(self, worker: Worker, reason: str) -> None:
        """Forget a worker.

        Raises:
            StateError: It was the first one, and nothing works without it.
        """
        logger.debug("worker ended pid=%d", worker.process.pid)
        self._detach(worker.process)
        if self._answers is not None:
            self._answers.release(worker)
        if not reason:
            return
        self._monitor.lost_worker()
        if worker is self._opening:
            self._opened({})
        elif self._loading is not None and worker is self._loading[0]:
            lost = f"the process that reads the configuration was lost: {reason}"
            if self._snapshot == -1:
                raise StateError(lost, fix="see the lines above, and start gatecert again")
            self._refuse([lost])

    def is_work_near(self, seconds: float) -> bool:
        """Return whether a gateway is due within some seconds."""
        instant = self._timetable.next_instant()
        return instant is not None and instant <= time.time() + seconds

    def _give(self, name: str, *, look_now: bool = False) -> None:
        """Have a pass run over a gateway."""
        if name in self._turns:
            self._workers.give(Work(name))
        if name in self._gateways.names:
            self._held.hold()
            prepare = name in self._unprepared
            self._unprepared.discard(name)
            self._workers.give(Work(name, look_now=look_now, prepare=prepare))

    def _done(self, worker: Worker, done: Done) -> None:
        """Report how work on a gateway has ended, and schedule what comes next."""
        name, now = done.gateway, datetime.now(UTC)
        self._follow(name)
        if done.outcome:
            self._gateways.report(done)
        is_old = not self._workers.takes_work(worker)  # under the configuration before
        if done.busy or is_old or done.code == WorkerLostError.code:
            self._unprepared.add(name)
        if is_old:
            at = now
        elif done.busy:
            at = now + BUSY_PAUSE
        else:
            at = _instant(done, UNKNOWN_PAUSE)
        preparing = name in self._preparing
        if preparing and name in self._unprepared:
            logger.info("prepared later gateway=%s", name)
        elif preparing:
            at = now
        self._timetable.schedule(name, at)
        self._schedule_changed = True
        if preparing:
            self._preparing.discard(name)
            self._ready_if_prepared()

    def _follow(self, name: str) -> None:
        """Have the kernel tell what other processes change in a gateway's directory from now on."""
        if self._changes is not None:
            self._changes.follow(name)
            for changed in self._changes.changed({name, *self._workers.in_hand}):
                self._unprepared.add(changed)
                self._give(changed)

    # ------------------------------------------------------------------ the schedule

    def _schedule(self) -> dict[str, tuple[float, str]]:
        """Return when each gateway that is in order is due, and what stands on the disk for it."""
        return {
            name: (at, stamp)
            for name, stamp in self._gateways.stamps.items()
            if (at := self._timetable.instant(name)) is not None
        }

    def _write_schedule(self, *, last: bool = False) -> None:
        """Write the schedule when the workers have left, and now and then while they work."""
        if self._directory is None or not self._schedule_changed:
            return
        if (
            not last
            and self._workers.all
            and time.monotonic() < self._schedule_written + SCHEDULE_PAUSE
        ):
            return
        write_schedule(self._directory, self._schedule())
        self._schedule_changed, self._schedule_written = False, time.monotonic()


def _instant(done: Done, pause: timedelta) -> datetime:
    """Return when the next pass is due: when the last one says, or after a pause."""
    now = datetime.now(UTC)
    if not 0 < done.wake_at < LATEST:
        return now + pause
    return max(datetime.fromtimestamp(done.wake_at, UTC), now + SHORTEST_PAUSE)


def _clock_offset() -> float:
    """Return the difference of wall clock and time since boot, suspends included, in seconds."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
