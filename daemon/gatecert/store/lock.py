"""Locks between processes and threads: flock(2) on a file that is never removed.

The kernel releases a lock when its holder dies, whichever way, so none is ever stale. What stands
in the file (process id and purpose) is for those who wait, never for deciding who holds it. Each
taking opens the file anew, and flock belongs to that opening: threads of one process exclude each
other too. Descriptors are close-on-exec (PEP 446), so no reload command keeps a lock alive. A lock
is not reentrant.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatecert.deadline import Deadline
from gatecert.errors import DaemonRunningError, LockTimeoutError, StorageError, clean
from gatecert.store import durable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.005  # seconds
LONGEST_PAUSE = 0.1  # seconds
HOLDER_WRITE_GRACE = 0.1  # seconds; between taking the lock and having written who did
PROBE_GRACE = 0.1  # seconds; ``holder`` may have the lock for an instant while it looks


@dataclass(frozen=True, slots=True)
class _LockHolder:
    """What the holder wrote into the file; only as true as the file is.

    Attributes:
        pid: None where nothing readable is written.
    """

    pid: int | None
    purpose: str

    def __str__(self) -> str:
        process = "another gatecert" if self.pid is None else f"gatecert with process id {self.pid}"
        return f"{process} ({self.purpose})" if self.purpose else process


@contextmanager
def hold_state_directory(path: Path, state: Path) -> Iterator[None]:
    """Hold a state directory as its one daemon.

    Raises:
        DaemonRunningError: Another daemon does.
        StorageError: The lock file cannot be opened.
    """
    descriptor = _open(path)
    try:
        if not _taken_within(descriptor, path, PROBE_GRACE):
            note = _read_holder(descriptor)
            raise DaemonRunningError(
                f"{note} already holds {state}, so this one leaves it alone",
                fix="stop the other one first, or use another state_directory",
            )
        _write_holder(descriptor, path, "daemon")
        yield
    finally:
        _release(descriptor)


def daemon_pid(path: Path) -> int | None:
    """Process id of the daemon that holds a lock file; None when nobody does."""
    with durable.step("read", path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
    deadline = Deadline.after(HOLDER_WRITE_GRACE)
    try:
        while True:
            with durable.step("lock", path):
                # Shared, so that two who look do not take each other for the daemon.
                if _try(descriptor, fcntl.LOCK_SH):
                    return None
            pid = _read_holder(descriptor).pid
            if pid is not None or deadline.passed:
                return pid
            time.sleep(FIRST_PAUSE)
    finally:
        os.close(descriptor)


@contextmanager
def hold_gateway_lock(path: Path, gateway: str, purpose: str, *, wait: float) -> Iterator[None]:
    """Hold a gateway's lock while changing it.

    Args:
        path: The lock file.
        gateway: The gateway's name, for messages.
        purpose: What is being done, in words, shown to others who wait.
        wait: Seconds to wait for another holder.

    Raises:
        LockTimeoutError: The other holder took longer.
        StorageError: The lock file cannot be opened.
    """
    with hold_lock_file(path, f"gateway {gateway}", purpose, wait=wait):
        yield


@contextmanager
def hold_lock_file(path: Path, what: str, purpose: str, *, wait: float) -> Iterator[None]:
    """Hold a lock file while changing what it stands for.

    Args:
        path: The lock file.
        what: What it stands for, in words.
        purpose: What is being done, in words, shown to others who wait.
        wait: Seconds to wait for another holder.

    Raises:
        LockTimeoutError: The other holder took longer.
        StorageError: The lock file cannot be opened.
    """
    descriptor = _open(path)
    try:
        if not _taken_within(descriptor, path, 0.0):
            note = _read_holder(descriptor)
            logger.info("waiting for=%r purpose=%r behind=%r", what, purpose, str(note))
            if not _taken_within(descriptor, path, wait):
                raise LockTimeoutError(
                    f"{what} is being changed by {_read_holder(descriptor)},"
                    f" which took longer than the {wait:g} s that {purpose} may wait",
                    fix="try again when it is done, or allow a longer wait",
                )
        with suppress(StorageError):  # a full disk is no reason not to bring a version back
            _write_holder(descriptor, path, purpose)
        yield
    finally:
        _release(descriptor)


def _open(path: Path) -> int:
    with durable.step("lock", path):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise
    return True


def _taken_within(descriptor: int, path: Path, seconds: float) -> bool:
    """Take the lock, looking again with growing pauses until the time is over."""
    deadline, pause = Deadline.after(seconds), FIRST_PAUSE
    while True:
        with durable.step("lock", path):
            if _try(descriptor, fcntl.LOCK_EX):
                return True
        if deadline.passed:
            return False
        time.sleep(deadline.within(pause))
        pause = min(2 * pause, LONGEST_PAUSE)


def _write_holder(descriptor: int, path: Path, purpose: str) -> None:
    """Say who holds the lock.

    Written before the rest is cut off, so that a full disk still has the block for it.
    """
    note = f"{os.getpid()} {clean(purpose, 200)}\n".encode(errors="replace")
    with durable.step("write", path):
        os.fchmod(descriptor, 0o600)
        os.pwrite(descriptor, note, 0)
        os.ftruncate(descriptor, len(note))


def _read_holder(descriptor: int) -> _LockHolder:
    with suppress(OSError, ValueError):
        line = os.pread(descriptor, 1024, 0).decode(errors="replace").partition("\n")[0]
        pid, _, purpose = line.partition(" ")
        if pid.isascii() and pid.isdigit() and int(pid) > 0:
            return _LockHolder(int(pid), clean(purpose, 200))
    return _LockHolder(None, "")


def _release(descriptor: int) -> None:
    """Closing the only descriptor of an opening releases its lock."""
    with suppress(OSError):
        os.close(descriptor)
