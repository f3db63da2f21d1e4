"""A program that runs beside the test and always ends with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])

ENDS_WITH_PARENT = ("--pdeathsig", "KILL")  # prctl(2), PR_SET_PDEATHSIG


def program(name: str) -> str:
    """Return the absolute path of an installed program.

    Raises:
        RuntimeError: It is not installed; the message says what to run.
    """
    found = shutil.which(name, path=SEARCH_PATH)
    if found is None:
        raise RuntimeError(f"{name} is not installed: run `make setup`")
    return found


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and its children: the process group of which it is the leader.

    The system does not reuse the number of a group with members. If a process has the number of
    one that has been waited for, it is another program, and so is its group.
    """
    if process.returncode is None or not psutil.pid_exists(process.pid):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait(5.0)


class BackgroundProcess:
    """A program in its own process group, with its output in a file.

    The kernel ends it when this process ends, even by SIGKILL.

    Args:
        argv: What to run; the first element is an absolute path.
        log: For standard output and standard error; appended on every start.
        environment: Added to this process's own.
        grace: Seconds for ending by itself at the end of the context.

    Attributes:
        inherited: Descriptors that it gets from the next start on, under the same numbers.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        grace: float = 5.0,
    ) -> None:
        self.argv = tuple(argv)
        self.log = log
        self._environment = {**os.environ, **(environment or {})}
        self._grace = grace
        self._process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.inherited: Collection[int] = ()

    @property
    def pid(self) -> int:
        """Process ID of the running program."""
        return self._running.pid

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        """Its output so far, over all starts."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def add_environment(self, environment: Mapping[str, str]) -> None:
        """Change its environment from the next start on."""
        self._environment |= environment

    def start(self) -> Self:
        """Start it; it must not be running."""
        if self.alive:
            raise RuntimeError(f"{self.argv[0]} is running already")
        with self.log.open("ab") as log:
            self.started_at = time.monotonic()
            self._process = subprocess.Popen(
                [program("setpriv"), *ENDS_WITH_PARENT, *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
                pass_fds=self.inherited,
            )
        return self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program itself."""
        self._running.send_signal(number)

    def kill(self) -> None:
        """Kill it and its children."""
        end_group(self._running)

    def wait(self, seconds: float) -> int:
        """Wait until it ends by itself; return its exit status, negative for a signal.

        Raises:
            AssertionError: It still runs after ``seconds``.
        """
        try:
            return self._running.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(
                f"{self.argv[0]} still runs after {seconds:g} s\n{self.tail()}"
            ) from error

    def stop(self, seconds: float = 10.0) -> int:
        """Send SIGTERM and wait; then kill the rest of its group."""
        process = self._running
        process.terminate()
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(
                f"{self.argv[0]} did not end within {seconds:g} s of SIGTERM\n{self.tail()}"
            ) from error
        finally:
            end_group(self._running)

    def tail(self, lines: int = 40) -> str:
        """Return its last lines, for an error message."""
        return "\n".join(self.output.splitlines()[-lines:])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.alive:
            self._running.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._running.wait(self._grace)
        if self._process is not None:
            end_group(self._running)

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.argv[0]} was never started")
        return self._process
