"""Workers on demand: who works on which gateway, and what happens when a worker is lost.

One worker takes new work. It is started when there is work, and asked to leave after some idle
seconds. After a reload of the configuration, the worker of the old one finishes what it has in
hand, and leaves. A gateway is in the hands of one worker at most.

A worker is lost if it ends by itself, sends something that is no message, needs longer for a
gateway than any pass takes, or needs too much memory. Whatever it had in hand is handed to the next
worker, which counts a failure for each of those gateways and runs no pass over it before that
failure's pause is over. After a loss the next start waits, each time twice as long, until a worker
has finished something.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from gatecert.errors import WorkerLostError
from gatecert.supervision.messages import (
    Configured,
    Done,
    Leave,
    Left,
    Message,
    MessageError,
    Open,
    Opened,
    Resume,
    Retain,
    Work,
)
from gatecert.supervision.restart_pauses import RestartPauses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

logger = logging.getLogger(__name__)

MOST_IN_HAND: Final = 64  # gateways that a worker works on at a time, each in a thread
START_SECONDS: Final = 120.0  # until a new worker takes work
LEAVE_SECONDS: Final = 10.0
ABORT_SECONDS: Final = 2.0  # to show where it hangs
MEMORY_INTERVAL: Final = 10.0  # seconds between two looks at the memory of a busy worker


class Process(Protocol):
    """A worker process; see `WorkerProcess`."""

    @property
    def pid(self) -> int:
        """The process id."""
        ...

    @property
    def has_unsent(self) -> bool:
        """True while messages wait until the connection takes more."""
        ...

    def fileno(self) -> int:
        """Return the descriptor of the connection."""
        ...

    def flush(self) -> None:
        """Send what the connection takes."""
        ...

    def send(self, message: Message) -> None:
        """Send a message."""
        ...

    def receive(self) -> Iterator[Message]:
        """Yield what has arrived; raise MessageError, or EOFError if the connection is closed."""
        ...

    def memory(self) -> int:
        """Return the resident memory, in bytes."""
        ...

    def show_where_it_hangs(self) -> None:
        """Make it write where each thread is, and end."""
        ...

    def end(self) -> str:
        """Kill it, and say how it ended."""
        ...


@dataclass(eq=False, slots=True)
class Worker:
    """A worker process and what it has in hand.

    Attributes:
        deadlines: By gateway in hand, in seconds of the monotonic clock.
        since: Since when it is idle, or since when it starts or leaves.
        aborted: Since when it is about to end because it hangs.
    """

    process: Process
    since: float
    opened: bool = False
    leaving: bool = False
    aborted: float | None = None
    reason: str = ""
    measured: float = 0.0
    in_hand: dict[str, Work] = field(default_factory=dict)
    deadlines: dict[str, float] = field(default_factory=dict)


class Events(Protocol):
    """The owner of workers, which is told of them."""

    def started(self, worker: Worker) -> None:
        """A worker has been started."""
        ...

    def received(self, worker: Worker, message: Message) -> None:
        """A worker has sent a message."""
        ...

    def gone(self, worker: Worker, reason: str) -> None:
        """A worker is about to be released; a reason if it was lost."""
        ...

    def is_work_near(self, seconds: float) -> bool:
        """Return whether a gateway is due within some seconds."""
        ...


class Workers:
    """Starts workers, hands them gateways, and replaces those that are lost.

    Args:
        start: Starts a worker process with the configuration in force.
        events: Is told what workers send, and which ones come and go.
        monotonic: The clock for deadlines, in seconds.

    Attributes:
        unsaved: State that workers could not write, by gateway.
        interrupted: Gateways whose passes workers have left unfinished, as they were told to.
        listening: Whether the core answers http-01 on inherited sockets.
        monitored: Whether workers describe gateways, and measure.
    """

    def __init__(
        self,
        start: Callable[[], Process],
        events: Events,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start = start
        self._events = events
        self._now = monotonic
        self.unsaved: dict[str, list[str]] = {}
        self.interrupted: set[str] = set()
        self.listening = False
        self.monitored = False
        self._limits = Configured("", [], longest_pass=3600.0, idle=30.0, memory=1 << 30)
        self._waiting: dict[str, Work] = {}
        self._current: Worker | None = None
        self._others: list[Worker] = []
        self._pauses = RestartPauses(monotonic)
        self._stopping = False

    # ------------------------------------------------------------------ work

    def give(self, work: Work) -> None:
        """Have a gateway worked on, as soon as a worker can take it."""
        before = self._waiting.get(work.gateway)
        if before is not None:
            work = _both(before, work)
        self._waiting[work.gateway] = work
        self._dispatch()

    def keep(self, gateways: Iterable[str]) -> None:
        """Forget work on every other gateway that no worker has taken yet."""
        for name in self._waiting.keys() - set(gateways):
            del self._waiting[name]

    def takes_work(self, worker: Worker) -> bool:
        """Return whether this is the worker of the configuration in force."""
        return worker is self._current

    @property
    def in_hand(self) -> set[str]:
        """The gateways that workers work on."""
        return {name for worker in self.all for name in worker.in_hand}

    @property
    def is_idle(self) -> bool:
        """True while there is nothing to do."""
        return not self._waiting and not self.in_hand

    @property
    def all(self) -> list[Worker]:
        """Every worker."""
        return [*([self._current] if self._current is not None else []), *self._others]

    # ------------------------------------------------------------------ configurations

    def begin_loading(self, process: Process) -> Worker:
        """Watch over a worker that reads a configuration."""
        worker = Worker(process, self._now())
        self._others.append(worker)
        self._events.started(worker)
        return worker

    def adopt(self, worker: Worker, limits: Configured) -> None:
        """Let a worker that has read a new configuration take all work from now on."""
        self._limits = limits
        self._others.remove(worker)
        before, self._current = self._current, worker
        worker.since = self._now()
        if before is not None:
            self._others.append(before)
            self._ask_to_leave(before)

    def discard(self, worker: Worker) -> None:
        """End a worker of which nothing more is expected."""
        self._remove(worker)
        try:
            self._events.gone(worker, "")
        finally:
            worker.process.end()

    def reject(self, worker: Worker, reason: str) -> None:
        """Replace a worker that cannot work."""
        self._lose(worker, reason)

    # ------------------------------------------------------------------ events

    def readable(self, worker: Worker) -> None:
        """Handle what a worker has sent."""
        try:
            for message in worker.process.receive():
                self._handle(worker, message)
                if worker not in self.all:  # its owner has discarded it
                    break
        except MessageError as error:
            self._lose(worker, f"it sent {error}")
        except EOFError:
            self._ended(worker)
        self._dispatch()

    def check(self) -> None:
        """End what hangs or is too large, ask idle workers to leave, and start what is due."""
        now = self._now()
        for worker in self.all:
            self._check(worker, now)
        self._dispatch()

    def seconds(self) -> float | None:
        """Return the seconds until `check` has something to do; None for never."""
        now, instants = self._now(), [self._deadline(worker) for worker in self.all]
        if self._waiting and self._current is None and not self._stopping:
            instants.append(self._pauses.until)
        return max(0.0, min(instants) - now) if instants else None

    def interrupt(self) -> None:
        """Have every worker end its passes and leave."""
        self._stopping = True
        self._waiting.clear()
        for worker in self.all:
            worker.leaving, worker.since = True, self._now()
            worker.process.send(Leave(now=True))

    def kill(self) -> None:
        """End every worker at once."""
        for worker in self.all:
            self.discard(worker)

    # ------------------------------------------------------------------ inside

    def _handle(self, worker: Worker, message: Message) -> None:
        match message:
            case Opened():
                worker.opened, worker.since = True, self._now()
            case Done(gateway=gateway):
                work = worker.in_hand.pop(gateway, None)
                if work is None:
                    return
                del worker.deadlines[gateway]
                worker.since = self._now()
                if not work.lost:  # a loss that is counted is no success
                    self._pauses.settled()
            case Left(unsaved=unsaved):
                self._left(worker, unsaved)
        self._events.received(worker, message)

    def _left(self, worker: Worker, unsaved: dict[str, list[str]]) -> None:
        if self._stopping:
            self.interrupted |= worker.in_hand.keys()
            worker.in_hand.clear()
            worker.deadlines.clear()
        if worker is self._current:
            self.unsaved = unsaved
            return
        self.unsaved |= unsaved
        if unsaved and self._current is not None:
            self._current.process.send(Retain(unsaved))

    def _ended(self, worker: Worker) -> None:
        if worker.leaving and not worker.in_hand:
            self.discard(worker)
        else:
            self._lose(worker, "")

    def _lose(self, worker: Worker, reason: str) -> None:
        """Replace a worker, and hand its gateways to the next one as failures."""
        self._remove(worker)
        self._pauses.lost()
        try:
            self._events.gone(worker, reason or worker.reason or "it has ended")
        finally:  # without the first worker, the core ends
            ended = worker.process.end()
        reason = reason or worker.reason or ended
        logger.error(
            "worker lost pid=%d gateways=%s: %s",
            worker.process.pid,
            ",".join(sorted(worker.in_hand)) or "none",
            reason,
            extra={"fields": {"code": WorkerLostError.code}},
        )
        for work in worker.in_hand.values():
            waiting = self._waiting.get(work.gateway)
            lost = work if work.describes_only else replace(work, lost=work.lost or reason)
            self._waiting[work.gateway] = lost if waiting is None else _both(lost, waiting)

    def _remove(self, worker: Worker) -> None:
        if worker is self._current:
            self._current = None
        elif worker in self._others:
            self._others.remove(worker)

    def _dispatch(self) -> None:
        """Start a worker if there is work, and hand it what it can take."""
        if not self._waiting or self._stopping:
            return
        worker, now = self._current, self._now()
        if worker is None:
            if self._pauses.seconds:
                return
            try:
                process = self._start()
            except OSError as error:
                self._pauses.lost()
                logger.error("no worker can be started error=%s", error)  # noqa: TRY400
                return
            worker = self._current = Worker(process, now)
            self._events.started(worker)
            process.send(Resume())
            process.send(Open(self.unsaved, listening=self.listening, monitored=self.monitored))
        if not worker.opened or worker.leaving:
            return
        busy = {name for other in self._others for name in other.in_hand} | worker.in_hand.keys()
        free = MOST_IN_HAND - len(worker.in_hand)
        for name in list(islice((each for each in self._waiting if each not in busy), free)):
            work = self._waiting.pop(name)
            worker.in_hand[name] = work
            worker.deadlines[name] = now + self._limits.longest_pass
            worker.process.send(work)

    def _check(self, worker: Worker, now: float) -> None:
        if now < self._deadline(worker):
            return
        if worker.aborted is not None:
            self._lose(worker, worker.reason)
        elif late := sorted(name for name, end in worker.deadlines.items() if end <= now):
            self._abort(worker, f"the pass over {', '.join(late)} hangs", now)
        elif worker.leaving and not worker.in_hand:
            self.discard(worker)
        elif not worker.opened:
            self._abort(worker, f"it did not start within {START_SECONDS:.0f} s", now)
        elif worker.in_hand:
            worker.measured = now
            size = worker.process.memory()
            if size > self._limits.memory:
                self._lose(worker, f"it needs {size >> 20} MiB (worker.memory_limit)")
        elif self._events.is_work_near(self._limits.idle):
            worker.since = now  # it would be started again right after
        else:
            self._ask_to_leave(worker)

    def _abort(self, worker: Worker, reason: str, now: float) -> None:
        worker.aborted, worker.reason = now, reason
        worker.process.show_where_it_hangs()

    def _ask_to_leave(self, worker: Worker) -> None:
        if not worker.leaving:
            worker.leaving, worker.since = True, self._now()
            worker.process.send(Leave())

    def _deadline(self, worker: Worker) -> float:
        """Return when a worker has to be looked at."""
        if worker.aborted is not None:
            return worker.aborted + ABORT_SECONDS
        if worker.in_hand:
            return min(*worker.deadlines.values(), worker.measured + MEMORY_INTERVAL)
        if worker.leaving:
            return worker.since + LEAVE_SECONDS
        return worker.since + (self._limits.idle if worker.opened else START_SECONDS)


def _both(first: Work, second: Work) -> Work:
    """Return one piece of work instead of two on the same gateway."""
    return Work(
        first.gateway,
        look_now=first.look_now or second.look_now,
        prepare=first.prepare or second.prepare,
        attend=first.attend or second.attend,
        lost=first.lost or second.lost,
    )
