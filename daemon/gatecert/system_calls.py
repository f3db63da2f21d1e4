"""System calls of Linux that Python 3.11 does not offer: timerfd_create(2) and inotify(7).

``os.timerfd_create`` exists from Python 3.13; ``ctypes`` calls the same function of the C library
(glibc and musl) before.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

CLOCK_REALTIME: Final = 0
TFD_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC
TFD_TIMER_ABSTIME: Final = 1
TFD_TIMER_CANCEL_ON_SET: Final = 2
IN_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC
IN_CREATE: Final = 0x100
IN_MOVED_TO: Final = 0x80
IN_ONLYDIR: Final = 0x01000000

_EXPIRATIONS = 8  # bytes that a timer gives
_NANOSECONDS: Final = 1_000_000_000


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


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
    """Notices new files in a directory.

    Raises:
        OSError: A limit of inotify is reached, or the directory does not exist.
    """

    def __init__(self, directory: Path) -> None:
        self._descriptor = _call("inotify_init1", IN_FLAGS)
        try:
            mask = IN_CREATE | IN_MOVED_TO | IN_ONLYDIR
            _call("inotify_add_watch", self._descriptor, os.fsencode(directory), mask)
        except OSError:
            os.close(self._descriptor)
            raise

    def fileno(self) -> int:
        """Return the descriptor; it is readable once there is a new file."""
        return self._descriptor

    def acknowledge(self) -> None:
        """Discard the events so far."""
        try:
            while os.read(self._descriptor, 65536):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Release the descriptor."""
        os.close(self._descriptor)


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
