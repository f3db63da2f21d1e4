"""Memory, processor time and context switches of a process with all its descendants.

Everything comes from /proc, so a process that leaves is accounted for: its processor time counts
for its parent as soon as that has waited for it, and its context switches were sampled before.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
SAMPLE_INTERVAL = 0.1  # seconds; switches of a thread after its last sample are lost

SETTLE_PERIOD = 5.0  # seconds
STAYING = 8  # periods; a worker process with nothing to do leaves sooner
QUIET = 0.05  # of a core
STEADY = 0.5  # of a core; with less, and no decrease, there is nothing to wait for


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of all processes of a tree, in MB (1e6 bytes).

    Attributes:
        rss: Resident; pages that processes share count for each of them.
        pss: Resident; pages that processes of the machine share count in equal parts.
        root_rss: Resident, of the first process alone.
    """

    rss: float
    pss: float
    root_rss: float


@dataclass(frozen=True, slots=True)
class ProcessTree:
    """A process and its descendants.

    Attributes:
        root: The process id of the first one.
        proc: Where procfs is mounted.
    """

    root: int
    proc: Path = PROC

    def pids(self) -> list[int]:
        """Return the process ids, the root first; empty once the root has ended.

        Each process names its parent. The kernel's lists of children leave some out while others
        end (proc_pid_task_children in proc(5)).
        """
        parents = {}
        for path in self.proc.glob("[0-9]*/stat"):
            fields = _stat(path)
            if fields:
                parents[int(path.parent.name)] = int(fields[1])
        if self.root not in parents:
            return []
        found = [self.root]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def memory(self) -> Memory:
        """Read the memory of all processes."""
        totals = {"Rss": 0.0, "Pss": 0.0}
        root = 0.0
        for pid in self.pids():
            try:
                text = (self.proc / str(pid) / "smaps_rollup").read_text("ascii")
            except (FileNotFoundError, ProcessLookupError):
                continue
            for name in totals:
                value = _kilobytes(text, name)
                totals[name] += value
                root += value if pid == self.root and name == "Rss" else 0
        return Memory(totals["Rss"], totals["Pss"], root)

    def processor_seconds(self) -> float:
        """Read the processor time of all processes, and of those that they have waited for."""
        ticks = 0
        for pid in self.pids():
            fields = _stat(self.proc / str(pid) / "stat")
            ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime: proc(5)
        return ticks / TICKS_PER_SECOND

    def switches(self) -> Iterator[tuple[tuple[int, str], int]]:
        """Return the context switches so far of each thread, by process and thread."""
        for pid in self.pids():
            try:
                for task in (self.proc / str(pid) / "task").iterdir():
                    text = (task / "status").read_text("utf-8", "replace")
                    yield (pid, task.name), _switches(text)
            except (FileNotFoundError, ProcessLookupError):
                continue

    def settle(self, seconds: float) -> None:
        """Wait until nothing is left to do, for this long at most.

        That is when little is needed and only the root is left, or the other processes stay; or
        when what is needed does not become less.
        """
        deadline = time.monotonic() + seconds
        before, same, pids = float("inf"), 0, self.pids()
        while time.monotonic() < deadline:
            start = self.processor_seconds()
            time.sleep(SETTLE_PERIOD)
            share = (self.processor_seconds() - start) / SETTLE_PERIOD
            same = same + 1 if pids == self.pids() else 0
            pids = self.pids()
            if share < QUIET and (len(pids) <= 1 or same >= STAYING):
                return
            if QUIET <= share < STEADY and share >= 0.9 * before:
                return
            before = share


class SwitchCounter:
    """Counts the context switches of a tree while the context is open."""

    def __init__(self, tree: ProcessTree) -> None:
        self._tree = tree
        self._first = dict(tree.switches())
        self._last = dict(self._first)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="switches", daemon=True)

    @property
    def count(self) -> int:
        """The voluntary and involuntary switches so far, also of threads that have ended."""
        return sum(self._last.values()) - sum(self._first.values())

    def sample(self) -> None:
        """Read the counters."""
        self._last.update(self._tree.switches())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self.sample()

    def _run(self) -> None:
        while not self._ended.wait(SAMPLE_INTERVAL):
            self.sample()


def _stat(path: Path) -> list[str]:
    """Return the fields of /proc/PID/stat behind the name, state first; none if it has ended."""
    try:
        return path.read_text("utf-8", "replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _kilobytes(text: str, name: str) -> float:
    """Return a value of smaps_rollup in MB."""
    line = next(line for line in text.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / 1e6


def _switches(text: str) -> int:
    return sum(
        int(line.split()[1]) for line in text.splitlines() if "voluntary_ctxt_switches:" in line
    )
