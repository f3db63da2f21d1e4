"""Starts the interpreter of a worker.

It imports nothing of gatecert: the daemon starts its first worker before it imports the rest of
itself, since the worker's imports take longer.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

START: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from gatecert.worker.main import main; main()"
)
PATH: Final = str(Path(__file__).parent.parent.parent)
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

    The descriptor stays readable after the worker has closed /proc/PID to its user
    (`system_calls.keep_memory_private`); it is -1 without /proc.
    """

    process: subprocess.Popen[bytes]
    connection: socket.socket
    size: int


def new_snapshot() -> int:
    """Return the descriptor of an empty anonymous file, which can be sealed."""
    return os.memfd_create("gatecert-configuration", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


def spawn(snapshot: int, *, debug: bool) -> Spawned:
    """Start an interpreter that becomes a worker.

    Args:
        snapshot: Descriptor of the configuration in force, or of an empty file for a new one.
        debug: Whether the worker sends records of every level.

    Raises:
        OSError: It cannot be started.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        command = [*_interpreter(), "-c", START, PATH, str(theirs.fileno()), str(snapshot)]
        try:
            process = subprocess.Popen(  # noqa: S603 - this program itself
                command + ["--debug"] * debug,
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), snapshot),
                process_group=0,  # Control-C is for the core, which ends its workers
                env={name: value for name, value in os.environ.items() if name not in KEPT},
            )
        except OSError:
            ours.close()
            raise
    try:
        size = os.open(f"/proc/{process.pid}/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        size = -1
    with suppress(OSError):  # it has ended
        ours.send(b"\n")  # which the worker waits for
    ours.setblocking(False)  # noqa: FBT003 - positional only
    return Spawned(process, ours, size)


def _interpreter() -> list[str]:
    """Return the command of this interpreter, with the options that affect imports."""
    options = [
        option
        for option, given in (
            ("-I", sys.flags.isolated),
            ("-S", sys.flags.no_site),
            ("-P", not sys.flags.isolated),
        )
        if given
    ]
    return [sys.executable, *options]
