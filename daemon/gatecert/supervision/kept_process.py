"""A process beside the workers that the core keeps running while it is wanted.

Nothing depends on it: whatever happens to it, the gateways are kept as before. A lost one is
started again after a pause, and then told everything anew.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from gatecert.supervision.messages import Leave, MessageError, Record
from gatecert.supervision.restart_pauses import RestartPauses
from gatecert.supervision.workers import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gatecert.supervision.messages import Message
    from gatecert.supervision.worker_log import WorkerLog

logger = logging.getLogger(__name__)

SETTLED_SECONDS: Final = 60.0  # a process that has run for so long was not lost at once
STOP_SECONDS: Final = 1.0


class LastingProcess(Process, Protocol):
    """A process that lasts, and can be waited for."""

    @property
    def is_overrun(self) -> bool:
        """True if it has not taken messages for so long that it never will."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, for some seconds at most."""
        ...


class KeptProcess(ABC):
    """The process as the core knows it.

    Args:
        start: Starts a process.
        log: Writes its log records.
        attach: Is told of each new process, to listen to it.
        detach: Is told of each process that is about to be released.
        monotonic: The clock for pauses, in seconds.

    Attributes:
        name: What it is called in the log.
        process: The running process; None while there is none.
    """

    name: ClassVar[str]

    def __init__(
        self,
        start: Callable[[], LastingProcess],
        log: WorkerLog,
        attach: Callable[[LastingProcess], None],
        detach: Callable[[LastingProcess], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start = start
        self._log = log
        self._attach = attach
        self._detach = detach
        self._now = monotonic
        self._pauses = RestartPauses(monotonic)
        self._started = 0.0
        self._plan: dict[str, Any] = {}
        self.process: LastingProcess | None = None

    @property
    def is_wanted(self) -> bool:
        """True if the configuration asks for the process."""
        return bool(self._plan)

    @abstractmethod
    def _task(self) -> Message:
        """Return the message with the plan."""

    def _introduction(self) -> Iterable[Message]:
        """Return what a new process is told first."""
        return (self._task(),)

    def _received(self, message: Message) -> None:
        """Handle a message of the process that is no log record.

        Raises:
            MessageError: The process has nothing of the kind to say.
        """
        raise MessageError(f"a message {type(message).__name__}")

    def _work_by(self, plan: dict[str, Any]) -> None:
        """Have a process work by a plan; an empty one needs none."""
        self._plan = plan
        if not plan:
            self.stop()
        elif self.process is None:
            self.check()
        else:
            self._tell(self._task())

    def serve(self) -> None:
        """Exchange messages with the process."""
        process = self.process
        if process is None:
            return
        try:
            process.flush()
            for message in process.receive():
                if isinstance(message, Record):
                    self._log.record(message)
                else:
                    self._received(message)
        except MessageError as error:
            self._lose(f"it sent {error}")
        except EOFError:
            self._lose("")

    def check(self) -> None:
        """Start the process if it is wanted and the pause after a loss is over."""
        if self.is_wanted and self.process is None and not self._pauses.seconds:
            try:
                process = self._start()
            except OSError as error:
                self._pauses.lost()
                logger.error("the %s cannot be started error=%s", self.name, error)  # noqa: TRY400
                return
            self.process, self._started = process, self._now()
            logger.debug("%s started pid=%d", self.name, process.pid)
            self._attach(process)
            for message in self._introduction():
                self._tell(message)

    def seconds(self) -> float | None:
        """Return the seconds until `check` has something to do; None for never."""
        return self._pauses.seconds if self.is_wanted and self.process is None else None

    def stop(self) -> None:
        """Have the process end, and wait for it, for a short time."""
        process = self.process
        if process is not None:
            self._tell(Leave())
            if self.process is process:  # it was not lost by that
                process.wait(STOP_SECONDS)
                self._release(process)

    def _tell(self, message: Message) -> None:
        if self.process is not None:
            self.process.send(message)
            if self.process.is_overrun:
                self._lose("it reads no messages")

    def _lose(self, reason: str) -> None:
        process = self.process
        if process is None:
            return
        if self._now() - self._started >= SETTLED_SECONDS:
            self._pauses.settled()
        ended = self._release(process)
        self._pauses.lost()
        logger.error(
            "%s lost pid=%d: %s; certificates are kept as before, and it is started again in"
            " %.0f s",
            self.name,
            process.pid,
            reason or ended,
            self._pauses.seconds,
        )

    def _release(self, process: LastingProcess) -> str:
        self.process = None
        self._detach(process)
        return process.end()
