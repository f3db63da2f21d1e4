"""Worker processes without processes: the test says what each sends and how it ends."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatecert.supervision.messages import (
    Configured,
    Done,
    Leave,
    Message,
    MessageError,
    Opened,
    Work,
)
from gatecert.supervision.workers import Worker, Workers

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = Configured("/state", ["hq"], longest_pass=3600.0, idle=30.0, memory=1 << 30)


@dataclass
class Seconds:
    """A monotonic clock that only the test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(eq=False)
class PlayedProcess:
    """A worker process.

    Attributes:
        sent: What the core has sent to it.
        arriving: What the core receives; an exception is raised there.
        aborted: How often it was told to show where it hangs.
    """

    pid: int = 1
    resident: int = 0
    ending: str = "it was ended by SIGKILL"
    sent: list[Message] = field(default_factory=list)
    arriving: deque[Message | Exception] = field(default_factory=deque)
    aborted: int = 0
    ended: int = 0
    has_unsent: bool = False

    def fileno(self) -> int:
        return self.pid

    def flush(self) -> None:
        self.has_unsent = False

    def send(self, message: Message) -> None:
        assert not self.ended
        self.sent.append(message)

    def receive(self) -> Iterator[Message]:
        assert not self.ended
        while self.arriving:
            message = self.arriving.popleft()
            if isinstance(message, Exception):
                raise message
            yield message

    def memory(self) -> int:
        return self.resident

    def show_where_it_hangs(self) -> None:
        self.aborted += 1

    def end(self) -> str:
        self.ended += 1
        return self.ending

    @property
    def works(self) -> list[Work]:
        """The work it was given."""
        return [message for message in self.sent if isinstance(message, Work)]

    @property
    def names(self) -> list[str]:
        """The gateways it was given."""
        return [work.gateway for work in self.works]

    @property
    def farewells(self) -> list[Leave]:
        """The requests to leave that it was sent."""
        return [message for message in self.sent if isinstance(message, Leave)]


@dataclass(eq=False)
class PlayedLasting(PlayedProcess):
    """The process of the monitor or the follower."""

    is_overrun: bool = False
    waited: float = 0.0

    def wait(self, seconds: float) -> None:
        self.waited += seconds


@dataclass
class Played:
    """Workers with played processes, and what their owner is told.

    Attributes:
        refused: Why no process can be started, if none can.
        reasons: Why each worker went; empty if it was not lost.
        work_in: Seconds until a gateway is due.
    """

    seconds: Seconds = field(default_factory=Seconds)
    processes: list[PlayedProcess] = field(default_factory=list)
    refused: OSError | None = None
    starts: int = 0
    received_messages: list[Message] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    present: list[Worker] = field(default_factory=list)
    work_in: float = float("inf")

    def __post_init__(self) -> None:
        self.workers = Workers(self.start, self, self.seconds)

    def start(self) -> PlayedProcess:
        self.starts += 1
        if self.refused is not None:
            raise self.refused
        process = PlayedProcess(len(self.processes) + 1)
        self.processes.append(process)
        return process

    # what the owner is told

    def started(self, worker: Worker) -> None:
        self.present.append(worker)

    def received(self, worker: Worker, message: Message) -> None:
        assert worker in self.present
        self.received_messages.append(message)

    def gone(self, worker: Worker, reason: str) -> None:
        self.present.remove(worker)
        self.reasons.append(reason)

    def is_work_near(self, seconds: float) -> bool:
        return self.work_in <= seconds

    # what the test does

    @property
    def process(self) -> PlayedProcess:
        """The process that was started last."""
        return self.processes[-1]

    def worker(self, process: PlayedProcess) -> Worker:
        """The worker of a process."""
        (found,) = [each for each in self.workers.all if each.process is process]
        return found

    def give(self, *names: str) -> None:
        for name in names:
            self.workers.give(Work(name))

    def arrive(self, *messages: Message | Exception, at: PlayedProcess | None = None) -> None:
        """Have messages arrive from a process, by default from the last."""
        process = at or self.process
        process.arriving.extend(messages)
        self.workers.readable(self.worker(process))

    def wait(self, seconds: float) -> None:
        """Let time pass, with a check at the end of it."""
        self.seconds.now += seconds
        self.workers.check()

    def wait_for_workers(self) -> None:
        """Let time pass until the workers ask for a check, and have it."""
        seconds = self.workers.seconds()
        assert seconds is not None
        self.wait(seconds)

    def working(self, *names: str) -> PlayedProcess:
        """Have a new worker work on these gateways."""
        self.give(*names)
        self.arrive(Opened({}))
        return self.process

    def lose(self, process: PlayedProcess | None = None) -> None:
        """Have a process end by itself."""
        self.arrive(EOFError(), at=process)

    def next_worker(self) -> PlayedProcess:
        """Let time pass until a lost worker is replaced, and have the new one take work."""
        self.wait_for_workers()
        self.arrive(Opened({}))
        return self.process

    def adopt(self, limits: Configured = LIMITS) -> PlayedProcess:
        """Have a worker read a new configuration and take all work."""
        process = PlayedProcess(len(self.processes) + 1)
        self.processes.append(process)
        worker = self.workers.begin_loading(process)
        self.workers.adopt(worker, limits)
        self.arrive(Opened({}))
        return process

    def finish(self, process: PlayedProcess, *names: str) -> None:
        """Have a process finish these gateways."""
        self.arrive(*map(Done, names), at=process)


GARBAGE = MessageError("a line that is not JSON")
