"""System calls of Linux that Python 3.11 does not offer.

These are timerfd_create(2), inotify(7), prctl(2), and an option of socket(7).

``os.timerfd_create`` exists from Python 3.13; ``ctypes`` calls the same function of the C library
(glibc and musl) before.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import struct
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket
    from pathlib import Path

CLOCK_REALTIME: Final = 0
TFD_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC
TFD_TIMER_ABSTIME: Final = 1
TFD_TIMER_CANCEL_ON_SET: Final = 2
IN_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC
IN_MOVED_FROM: Final = 0x40
IN_MOVED_TO: Final = 0x80
IN_CREATE: Final = 0x100
IN_DELETE: Final = 0x200
IN_Q_OVERFLOW: Final = 0x4000
IN_IGNORED: Final = 0x8000
IN_ONLYDIR: Final = 0x01000000

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
PR_SET_DUMPABLE: Final = 4

SOL_SOCKET: Final = 1
SO_ATTACH_REUSEPORT_CBPF: Final = 51  # asm-generic/socket.h
BPF_RETURN_CONSTANT: Final = 0x06  # linux/bpf_common.h: BPF_RET | BPF_K

_EVENT: Final = struct.Struct("iIII")  # struct inotify_event, without the name
_EXPIRATIONS = 8  # bytes that a timer gives
_NANOSECONDS: Final = 1_000_000_000


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class _Filter(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filters", ctypes.POINTER(_Filter)))


class WallClockTimer:
    """A timer for an instant of the wall clock, which also fires when the clock is set.

    The kernel cancels it when the wall clock jumps and after a suspend (TFD_TIMER_CANCEL_ON_SET in
    timerfd_create(2)), so nobody has to compare clocks at intervals.
    """

    def __init__(self) -> None:
        self._descriptor = _call("timerfd_create", CLOCK_REALTIME, TFD_FLAGS)
        self._was_set = False

    def fileno(self) -> int:
        """Return the descriptor; it is readable once the timer has fired or was cancelled."""
        return self._descriptor

    def set(self, instant: float) -> None:
        """Fire at an instant (seconds since the epoch) instead of any earlier setting.

        If the clock was set meanwhile, it fires at once: the kernel says so here, and not again
        when the timer is read.
        """
        try:
            self._set_once(time.time() if self._was_set else instant)
        except OSError as error:
            if error.errno != errno.ECANCELED:
                raise
            self._was_set = True
            self.set(instant)

    def _set_once(self, instant: float) -> None:
        nanoseconds = max(1, round(instant * _NANOSECONDS))  # zero would disarm it
        value = _Timespec(*divmod(nanoseconds, _NANOSECONDS))
        flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
        timer = _TimerSpec(_Timespec(0, 0), value)
        _call("timerfd_settime", self._descriptor, flags, ctypes.byref(timer), None)

    def clock_was_set(self) -> bool:
        """Return whether the clock was set since the timer was; also acknowledge that it fired."""
        try:
            os.read(self._descriptor, _EXPIRATIONS)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ECANCELED:
                raise
            self._was_set = True
        was_set, self._was_set = self._was_set, False
        return was_set

    def close(self) -> None:
        """Release the descriptor."""
        os.close(self._descriptor)


class DirectoryWatch:
    """Notices changes in directories.

    Raises:
        OSError: A limit of inotify is reached.
    """

    def __init__(self) -> None:
        self._descriptor = _call("inotify_init1", IN_FLAGS)

    def fileno(self) -> int:
        """Return the descriptor; it is readable once there are events."""
        return self._descriptor

    def add(self, directory: Path, mask: int) -> int:
        """Watch a directory; return the number of the watch.

        Raises:
            OSError: A limit of inotify is reached, or the directory does not exist.
        """
        path = os.fsencode(directory)
        return _call("inotify_add_watch", self._descriptor, path, mask | IN_ONLYDIR)

    def remove(self, number: int) -> None:
        """End a watch; one that has ended is no error."""
        with suppress(OSError):
            _call("inotify_rm_watch", self._descriptor, number)

    def events(self) -> list[tuple[int, str]]:
        """Return the number of the watch and the file name of each event since the last call.

        An empty name says that the directory is gone; the number -1 that events were lost.
        """
        found = []
        while data := self._read():
            while data:
                number, mask, _, length = _EVENT.unpack_from(data)
                name = data[_EVENT.size : _EVENT.size + length].rstrip(b"\0")
                data = data[_EVENT.size + length :]
                if name or mask & (IN_IGNORED | IN_Q_OVERFLOW):
                    found.append((number, os.fsdecode(name)))
        return found

    def close(self) -> None:
        """Release the descriptor."""
        os.close(self._descriptor)

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, 65536)
        except BlockingIOError:
            return b""


def prefer_second_listener(first: socket.socket) -> None:
    """Have the second socket that listens on a shared port get every connection.

    Without a second one, the first gets them: the kernel then ignores the choice (socket(7),
    SO_ATTACH_REUSEPORT_CBPF).

    Args:
        first: Bound, with SO_REUSEPORT, and the first to listen on its port.

    Raises:
        OSError: The kernel cannot do that.
    """
    program = _FilterProgram(1, ctypes.pointer(_Filter(BPF_RETURN_CONSTANT, 0, 0, 1)))
    first.setsockopt(SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, bytes(program))


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends (PR_SET_PDEATHSIG in prctl(2)).

    A change of the user cancels it.
    """
    _call("prctl", PR_SET_PDEATHSIG, *map(ctypes.c_ulong, (signal.SIGKILL, 0, 0, 0)))


def keep_memory_private() -> None:
    """Close this process's memory to other processes of its user, and write no core file.

    /proc/PID then belongs to root, and ptrace(2) is refused (PR_SET_DUMPABLE in prctl(2)). A change
    of the user cancels it; so does execve(2), so that commands that gatecert starts are as usual.
    """
    _call("prctl", PR_SET_DUMPABLE, *map(ctypes.c_ulong, (0, 0, 0, 0)))
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    with suppress(OSError):  # a sandbox
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> int:
    """Call a function of the C library.

    Raises:
        OSError: It failed.
    """
    result: int = _library()[name](*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result
