"""A program on a real terminal, and what an emulator of the terminal shows."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import termios
from typing import TYPE_CHECKING, Self

import pyte

from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

INTERRUPT, TAB, FORGET_LINE = "\x03", "\t", "\x15"


class TerminalProgram:
    """A program that runs on a terminal while this context is open.

    Args:
        argv: The program and its arguments.
        directory: Its working directory.
        environment: All of its environment; TERM is added.
        columns: The width of the terminal.
        rows: The height of the terminal.

    Attributes:
        received: Everything that the program has written.
    """

    def __init__(
        self,
        argv: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        *,
        columns: int = 120,
        rows: int = 40,
    ) -> None:
        self._argv, self._directory = list(argv), directory
        self._environment = {"TERM": "xterm", **environment}
        self._size = struct.pack("HHHH", rows, columns, 0, 0)
        self._screen = pyte.HistoryScreen(columns, rows, history=1000)
        vars(self._screen)["write_process_input"] = self.type  # answers about the terminal
        self._stream = pyte.ByteStream(self._screen)
        self._exit_code: int | None = None
        self.received = b""

    def __enter__(self) -> Self:
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, self._size)
            os.chdir(self._directory)
            os.execvpe(self._argv[0], self._argv, self._environment)  # noqa: S606 - no shell
        os.set_blocking(self._terminal, False)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._exit_code is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._terminal)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._terminal, keys.encode())

    @property
    def lines(self) -> list[str]:
        """Lines shown so far, including those that have left the terminal at its top."""
        try:
            while data := os.read(self._terminal, 65536):
                self._stream.feed(data)
                self.received += data
        except OSError:  # nothing to read now, or the program has ended
            pass
        columns = range(self._screen.columns)
        above = ["".join(row[each].data for each in columns) for row in self._screen.history.top]
        return [line.rstrip() for line in [*above, *self._screen.display]]

    @property
    def title(self) -> str:
        """Return the title that the program gave to the window."""
        return str(self._screen.title)

    def shows(self, text: str) -> bool:
        """Return whether the terminal shows a text."""
        return any(text in line for line in self.lines)

    def wait_for(self, text: str, seconds: float = 20.0) -> None:
        """Wait until the terminal shows a text."""
        wait_until(
            lambda: self.shows(text),
            f"the terminal shows {text!r}",
            seconds=seconds,
            explain=lambda: "\n".join(self.lines).rstrip(),
        )

    def wait(self, seconds: float = 30.0) -> int:
        """Wait until the program ends; return its exit code."""

        def ended() -> bool:
            _ = self.lines  # a program that cannot write does not end
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._exit_code = os.waitstatus_to_exitcode(status)
            return bool(pid)

        wait_until(ended, "the program ends", seconds=seconds)
        assert self._exit_code is not None
        return self._exit_code
