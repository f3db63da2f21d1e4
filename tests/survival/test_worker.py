"""The worker process killed with SIGKILL at every message between it and the core."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from typing import TYPE_CHECKING

from gatecert.app import build
from gatecert.config.load import load
from gatecert.supervision.messages import (
    Configured,
    Done,
    Message,
    Open,
    Opened,
    Work,
)
from gatecert.supervision.worker_process import WorkerProcess, load_configuration, start_worker
from gatecert.supervision.workers import Worker, Workers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest
    from tests.survival.conftest import Pace

NEVER = 1 << 30
STRIDE = 4  # of the messages, when there is little time
NAME = "hq"


class CutProcess:
    """A worker process that is killed before a message: of those of all workers, by number."""

    def __init__(self, process: WorkerProcess, core: Core) -> None:
        self.process = process
        self._core = core

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def has_unsent(self) -> bool:
        return self.process.has_unsent

    def fileno(self) -> int:
        return self.process.fileno()

    def flush(self) -> None:
        self.process.flush()

    def send(self, message: Message) -> None:
        if self._cut(message):
            os.kill(self.pid, signal.SIGKILL)
        self.process.send(message)

    def receive(self) -> Iterator[Message]:
        for message in self.process.receive():
            if self._cut(message):
                os.kill(self.pid, signal.SIGKILL)
                raise EOFError
            yield message

    def memory(self) -> int:
        return self.process.memory()

    def show_where_it_hangs(self) -> None:
        self.process.show_where_it_hangs()

    def end(self) -> str:
        return self.process.end()

    def _cut(self, message: Message) -> bool:
        self._core.seen.append(type(message).__name__)
        return len(self._core.seen) - 1 == self._core.cut_at


class Core:
    """The core's part of the conversation: load, prepare one gateway, run a pass, leave.

    Attributes:
        seen: The kinds of all messages, in both directions.
        done: How each piece of work has ended.
    """

    def __init__(self, path: Path, cut_at: int) -> None:
        self.cut_at = cut_at
        self.seen: list[str] = []
        self.done: list[Done] = []
        self._path = path
        self._skipped = 0.0
        self._snapshot = -1
        self._loading: Worker | None = None
        self._opening: Worker | None = None
        self._workers = Workers(self._start, self, lambda: time.monotonic() + self._skipped)

    def run(self) -> None:
        while self._snapshot == -1:
            self._load()
        while len(self.done) < 2:
            self._serve()
        self._workers.interrupt()
        while self._workers.all:
            self._serve()
        os.close(self._snapshot)

    def started(self, worker: Worker) -> None:
        """Nothing to do: every worker is served."""

    def received(self, worker: Worker, message: Message) -> None:
        match message:
            case Configured() if worker is self._loading:
                self._loading, self._opening = None, worker
                self._workers.adopt(worker, message)
                worker.process.send(Open({}, changed=True))
            case Opened() if worker is self._opening:
                self._opening = None
                self._workers.give(Work(NAME, prepare=True, attend=False))
            case Done():
                self.done.append(message)
                if len(self.done) == 1:
                    self._workers.give(Work(NAME, prepare=True))

    def gone(self, worker: Worker, _reason: str) -> None:
        if worker is self._loading:
            self._loading = None
        elif worker is self._opening:
            self._opening = None
            self._workers.give(Work(NAME, prepare=True, attend=False))

    def is_work_near(self, seconds: float) -> bool:
        return seconds < 0

    def _load(self) -> None:
        process, snapshot = load_configuration(self._path, debug=False)
        self._loading = self._workers.begin_loading(CutProcess(process, self))
        while self._loading is not None:
            self._serve()
        if self._opening is not None:
            self._snapshot = snapshot
        else:  # the service manager starts the daemon again
            os.close(snapshot)

    def _start(self) -> CutProcess:
        return CutProcess(start_worker(self._snapshot), self)

    def _serve(self) -> None:
        workers = {worker.process.fileno(): worker for worker in self._workers.all}
        if not workers:
            self._skipped += self._workers.seconds() or 0.0
        readable, _, _ = select.select(list(workers), [], [], 30.0 if workers else 0.0)
        assert readable or not workers, f"nothing after {self.seen}"
        for descriptor in readable:
            self._workers.readable(workers[descriptor])
        self._workers.check()


def test_killed_at_any_message(
    directory: Path, tally: list[str], pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # a hundred starts
    messages = _conversation(directory / "whole", NEVER)
    assert {"Configured", "Open", "Opened", "Work", "Done", "Leave", "Left"} <= set(messages)
    chosen = pace.some(list(range(len(messages))), STRIDE)
    for number in chosen:
        _conversation(directory / f"cut-{number}", number)
    line = f"worker killed at any message: {len(chosen)} of {len(chosen)} points"
    tally.append(f"{line} (there are {len(messages)})")


def _conversation(directory: Path, cut_at: int) -> list[str]:
    """Hold the conversation, see that all came right, and return the kinds of its messages."""
    directory.mkdir(parents=True)
    path = directory / "config.yaml"
    gateway = f"{{{NAME}: {{hostname: hq.example.com, mode: custom}}}}"
    path.write_text(f"state_directory: {directory}/state\ngateways: {gateway}\n", "utf-8")
    core = Core(path, cut_at)
    core.run()

    where = f"killed at message {cut_at} of {core.seen}"
    lost = [each for each in core.done if each.code == "worker-lost"]
    assert len(lost) <= (cut_at != NEVER), where
    assert all(each.outcome or each is core.done[0] for each in core.done), where
    application = build(load(path), lambda *_: None, threading.Event())
    target = application.targets[NAME]
    application.pipeline.prepare(target)
    assert application.pipeline.attend(target).kind != "failed", where
    current = application.open(target)
    assert current.live is not None, where
    assert len(current.inventory.stored) <= 2, where
    assert not list((directory / "state").rglob(".tmp-*")), where
    return core.seen
