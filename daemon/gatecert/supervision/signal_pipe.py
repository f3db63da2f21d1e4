"""Signals as numbers from a pipe, so that no handler interrupts the event loop."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable


class SignalPipe:
    """Receives signals while it is entered.

    Args:
        numbers: The signals.
    """

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = tuple(numbers)

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._descriptor_before = signal.set_wakeup_fd(self._write)
        self._before = {number: signal.signal(number, _ignore) for number in self._numbers}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._descriptor_before)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """Return the descriptor, which is readable once there is a signal."""
        return self._read

    def read(self) -> list[int]:
        """Return the signals that have arrived."""
        try:
            return list(os.read(self._read, 4096))
        except BlockingIOError:
            return []


def _ignore(number: int, frame: object) -> None:
    """Do nothing: Python writes to the wakeup descriptor only for signals with a handler."""
