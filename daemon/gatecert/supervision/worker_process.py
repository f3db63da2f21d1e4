"""A worker, the monitor or the follower as the core sees it: started, spoken to, measured, killed.

A worker is a new interpreter (spawned, never forked), so it shares no memory, locks or descriptors
with the core. It inherits two descriptors: its end of the connection, and the snapshot of the
configuration in force. Monitor and follower are other interpreters, without the snapshot.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from gatecert.supervision.messages import LineReader, Load, Message, MessageError, decode, encode
from gatecert.supervision.spawn import FOLLOWER, MONITOR, new_snapshot, spawn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatecert.supervision.spawn import Spawned

CHUNK: Final = 1 << 18  # bytes read at once
WAIT_STEP: Final = 0.01  # seconds
MOST_UNSENT: Final = 64 << 20  # bytes


class WorkerProcess:
    """A running worker.

    Args:
        spawned: Its process.
    """

    def __init__(self, spawned: Spawned) -> None:
        self._process, self._socket, self._size = spawned
        self._reader = LineReader()
        self._unsent = bytearray()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def fileno(self) -> int:
        """Return the descriptor of the connection."""
        return self._socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """True while messages wait until the connection takes more."""
        return bool(self._unsent)

    @property
    def is_overrun(self) -> bool:
        """True if it has not taken messages for so long that it never will."""
        return len(self._unsent) > MOST_UNSENT

    def send(self, message: Message) -> None:
        """Send a message, now or as soon as the connection takes it."""
        self._unsent += encode(message)
        self.flush()

    def flush(self) -> None:
        """Send what the connection takes; a broken connection shows when it is read."""
        with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while self._unsent:
                sent = self._socket.send(self._unsent)
                del self._unsent[:sent]

    def receive(self) -> Iterator[Message]:
        """Yield the messages that have arrived.

        Raises:
            MessageError: It sent something that is no message, or half of one.
            EOFError: It has closed the connection.
        """
        try:
            data = self._socket.recv(CHUNK)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            if self._reader.incomplete:
                raise MessageError("half a message")
            raise EOFError
        for line in self._reader.feed(data):
            yield decode(line)

    def memory(self) -> int:
        """Return the resident memory, in bytes; 0 if it has ended."""
        try:
            pages = os.pread(self._size, CHUNK, 0).split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def show_where_it_hangs(self) -> None:
        """Make it write where each thread is to standard error, and end."""
        self._process.send_signal(signal.SIGABRT)

    def wait(self, seconds: float) -> None:
        """Wait until it has taken its messages and ended, for some seconds at most."""
        end = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < end:
            self.flush()
            time.sleep(WAIT_STEP)

    def end(self) -> str:
        """Kill it unless it has ended, and release everything.

        Returns:
            How it ended, in words.
        """
        self._socket.close()
        self._process.kill()
        status = self._process.wait()
        if self._size >= 0:
            os.close(self._size)
            self._size = -1
        if status >= 0:
            return f"it ended with exit code {status}"
        with suppress(ValueError):
            return f"it was ended by {signal.Signals(-status).name}"
        return f"it was ended by signal {-status}"


def start_worker(snapshot: int, *, debug: bool = False) -> WorkerProcess:
    """Start a worker; see `spawn`.

    Raises:
        OSError: It cannot be started.
    """
    return WorkerProcess(spawn(snapshot, debug=debug))


def start_monitor(*, debug: bool = False) -> WorkerProcess:
    """Start a monitor; see `spawn`.

    Raises:
        OSError: It cannot be started.
    """
    return WorkerProcess(spawn(program=MONITOR, debug=debug))


def start_follower(*, debug: bool = False) -> WorkerProcess:
    """Start a follower; see `spawn`.

    Raises:
        OSError: It cannot be started.
    """
    return WorkerProcess(spawn(program=FOLLOWER, debug=debug))


def load_configuration(path: Path, *, debug: bool) -> tuple[WorkerProcess, int]:
    """Start a worker that reads a configuration file.

    Returns:
        The worker, and the descriptor of the snapshot that it writes.

    Raises:
        OSError: It cannot be started.
    """
    snapshot = new_snapshot()
    try:
        worker = start_worker(snapshot, debug=debug)
    except OSError:
        os.close(snapshot)
        raise
    worker.send(Load(str(path)))
    return worker, snapshot
