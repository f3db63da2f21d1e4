"""Locks between processes and threads: flock(2) on a file that is never removed.

The kernel releases a lock when its holder ends, so a lock is never stale. The contents of the file
(process id and purpose) inform waiting processes and do not decide who holds the lock. Each
acquisition opens the file again, and flock belongs to that open file, so it also excludes threads
of one process. Descriptors are close-on-exec (PEP 446), so a reload command does not keep a lock. A
lock is not reentrant.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatecert.container import fix_for
from gatecert.deadline import Deadline
from gatecert.errors import DaemonRunningError, LockTimeoutError, StorageError, clean
from gatecert.outcome_kinds import Wait
from gatecert.regular_files import IrregularFileError, opened
from gatecert.store import durable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from threading import Event

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.005  # seconds
LONGEST_PAUSE = 0.1  # seconds
HOLDER_WRITE_GRACE = 0.1  # seconds between acquiring the lock and writing the holder
PROBE_GRACE = 0.1  # seconds; ``daemon_pid`` may hold the lock for an instant


@dataclass(frozen=True, slots=True)
class _LockHolder:
    """The process that holds a lock, as the lock file names it.

    Attributes:
        pid: None if the file is unreadable.
    """

    pid: int | None
    purpose: str

    def __str__(self) -> str:
        process = "another gatecert" if self.pid is None else f"gatecert with process id {self.pid}"
        return f"{process} ({self.purpose})" if self.purpose else process


class LockLease:
    """The lease of a gateway that only this host orders for: its lock, which cannot be lost."""

    def check(self) -> None:
        """Find the lock held."""


@contextmanager
def hold_state_directory(
    path: Path, state: Path, *, command: str = "", grace: float = PROBE_GRACE
) -> Iterator[None]:
    """Hold a state directory as its only daemon, or while none may run.

    Args:
        path: The lock file.
        state: The state directory, for messages.
        command: The command that needs it without a daemon; empty for the daemon itself.
        grace: Seconds to wait for another holder, which may be a probe.

    Raises:
        DaemonRunningError: Another daemon holds it.
        StorageError: The lock file cannot be opened.
    """
    descriptor = _open(path)
    try:
        if not _taken_within(descriptor, path, grace):
            other = _read_holder(descriptor)
            if command:
                raise DaemonRunningError(
                    f"{other} uses {state}, so {command} has changed nothing",
                    fix=fix_for(
                        host="systemctl stop gatecert, then run it again",
                        container="stop the daemon's container, then run it again",
                    ),
                )
            raise DaemonRunningError(
                f"{other} already uses {state}, so this one does not start",
                fix="stop the other daemon first, or set another state_directory",
            )
        _write_holder(descriptor, path, command or "daemon")
        yield
    finally:
        _release(descriptor)


def daemon_pid(path: Path, *, grace: float = HOLDER_WRITE_GRACE) -> int | None:
    """Return the process id of the daemon that holds a lock file; None if there is none.

    Args:
        path: The lock file.
        grace: Seconds to wait for the holder to write its process id.
    """
    with ExitStack() as stack:
        with durable.step("read", path):
            try:
                descriptor = stack.enter_context(opened(path, follow_links=False))
            except FileNotFoundError:
                return None
        deadline = Deadline.after(grace)
        while True:
            with durable.step("lock", path):
                # Shared, so that two callers do not mistake each other for the daemon.
                if _try(descriptor, fcntl.LOCK_SH):
                    return None
            pid = _read_holder(descriptor).pid
            if pid is not None or deadline.passed:
                return pid
            time.sleep(FIRST_PAUSE)


@contextmanager
def hold_lock_file(  # noqa: PLR0913 - what is locked, and for how long others are waited for
    path: Path,
    what: str,
    purpose: str,
    *,
    wait: float,
    tell: Callable[[Wait], None] | None = None,
    cancelled: Event | None = None,
) -> Iterator[None]:
    """Hold a lock file while changing what it protects.

    Args:
        path: The lock file.
        what: A name for what it protects.
        purpose: The change, shown to processes that wait.
        wait: Seconds to wait for another holder.
        tell: Called with the other holder before waiting for it.
        cancelled: Ends the wait when set: gatecert is stopping.

    Raises:
        LockTimeoutError: The other holder took longer.
        StorageError: The lock file cannot be opened.
    """
    descriptor = _open(path)
    try:
        if not _taken_within(descriptor, path, 0.0):
            other = _read_holder(descriptor)
            logger.info("waiting for=%r purpose=%r behind=%r", what, purpose, str(other))
            if tell is not None and wait > 0:
                tell(Wait(f"{other} to finish", wait))
            if not _taken_within(descriptor, path, wait, cancelled):
                raise LockTimeoutError(
                    f"{what} is being changed by {_read_holder(descriptor)}:"
                    f" {purpose} gave up after {wait:g} s",
                    fix="try again when it has finished, or allow a longer wait",
                )
        with suppress(StorageError):  # a roll-back must work on a full disk
            _write_holder(descriptor, path, purpose)
        yield
    finally:
        _release(descriptor)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with durable.step("lock", path):
        descriptor = os.open(path, flags, 0o600)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise IrregularFileError("it is not a regular file")
        return descriptor


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise
    return True


def _taken_within(
    descriptor: int, path: Path, seconds: float, cancelled: Event | None = None
) -> bool:
    """Acquire the lock, retrying with growing pauses until the time is up."""
    deadline, pause = Deadline.after(seconds, cancelled), FIRST_PAUSE
    while True:
        with durable.step("lock", path):
            if _try(descriptor, fcntl.LOCK_EX):
                return True
        if deadline.passed:
            return False
        deadline.wait(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _write_holder(descriptor: int, path: Path, purpose: str) -> None:
    """Write the holder into the lock file.

    The file is overwritten before it is truncated, so that a full disk still has a block for it.
    """
    line = f"{os.getpid()} {clean(purpose, 200)}\n".encode(errors="replace")
    with durable.step("write", path):
        os.fchmod(descriptor, 0o600)
        os.pwrite(descriptor, line, 0)
        os.ftruncate(descriptor, len(line))


def _read_holder(descriptor: int) -> _LockHolder:
    with suppress(OSError, ValueError):
        line = os.pread(descriptor, 1024, 0).decode(errors="replace").partition("\n")[0]
        pid, _, purpose = line.partition(" ")
        if pid.isascii() and pid.isdigit() and int(pid) > 0:
            return _LockHolder(int(pid), clean(purpose, 200))
    return _LockHolder(None, "")


def _release(descriptor: int) -> None:
    """Release the lock by closing the only descriptor of the open file."""
    with suppress(OSError):
        os.close(descriptor)
