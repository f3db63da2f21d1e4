"""Starts the interpreter of a worker, the monitor or the follower.

It imports nothing of gatecert: the daemon starts its first worker before it imports the rest of
itself, since the worker's imports take longer.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

WORKER: Final = "gatecert.worker.main"
MONITOR: Final = "gatecert.monitoring.monitor_process"
FOLLOWER: Final = "gatecert.follower.follower_process"
START: Final = "import sys; sys.path.insert(0, sys.argv[1]); from {} import main; main()"
PATH: Final = str(Path(__file__).parent.parent.parent)
LONGEST_OPENING: Final = 0.1  # seconds
# For the core: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3)
KEPT: Final = {
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
}


class Spawned(NamedTuple):
    """A process, the core's end of its connection, and the descriptor of its size in memory.

    The descriptor stays readable after the process has closed /proc/PID to its user
    (`system_calls.keep_memory_private`); it is -1 without /proc.
    """

    process: subprocess.Popen[bytes]
    connection: socket.socket
    size: int


def new_snapshot() -> int:
    """Return the descriptor of an empty anonymous file, which can be sealed."""
    return os.memfd_create("gatecert-configuration", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


def spawn(snapshot: int | None = None, *, program: str = WORKER, debug: bool) -> Spawned:
    """Start an interpreter that becomes a worker, the monitor or the follower.

    Args:
        snapshot: For a worker: descriptor of the configuration in force, or of an empty file for a
            new one.
        program: The module whose ``main`` it runs.
        debug: Whether the process sends records of every level.

    Raises:
        OSError: It cannot be started.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        inherited = [theirs.fileno(), *([] if snapshot is None else [snapshot])]
        start = START.format(program)
        command = python(start, *map(str, inherited))
        try:
            process = subprocess.Popen(  # noqa: S603 - this program itself
                command + ["--debug"] * debug,
                stdin=subprocess.DEVNULL,
                pass_fds=inherited,
                process_group=0,  # Control-C is for the core, which ends its workers
                env=environment(),
            )
        except OSError:
            ours.close()
            raise
    size = _open_size(process.pid)
    with suppress(OSError):  # it has ended
        ours.send(b"\n")  # which the process waits for
    ours.setblocking(False)  # noqa: FBT003 - positional only
    return Spawned(process, ours, size)


def _open_size(process: int) -> int:
    """Open the size of a process that has just been started; return -1 where that is impossible.

    execve(2) lets the parent go on a moment before the process may be looked at: the kernel closes
    descriptors first, and ends the inherited protection of the core then.
    """
    end = time.monotonic() + LONGEST_OPENING
    while True:
        try:
            return os.open(f"/proc/{process}/statm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            if time.monotonic() > end:
                return -1
            select.select([], [], [], 0.001)  # time.sleep() fails under libfaketime 0.9.10


def environment() -> dict[str, str]:
    """Return the environment of a process of gatecert: the core's, without what is for the core."""
    return {name: value for name, value in os.environ.items() if name not in KEPT}


def python(program: str, *arguments: str) -> list[str]:
    """Return the command of this interpreter, with the options that affect imports.

    Args:
        program: Its first argument is the directory of this package (`START`).
        arguments: The others.
    """
    options = [
        option
        for option, given in (
            ("-I", sys.flags.isolated),
            ("-S", sys.flags.no_site),
            ("-P", not sys.flags.isolated),
        )
        if given
    ]
    return [sys.executable, *options, "-c", program, PATH, *arguments]
