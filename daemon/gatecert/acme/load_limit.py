"""Limits of the load on one authority, for all orders of this process together.

- *Turns.* So many orders are in progress at a time; the others wait for their turn. They wait
  without waking up: only the first of them looks whether gatecert is stopping.
- *A shared pause.* A Retry-After of 429 or 503 (RFC 8555 section 6.6, RFC 9110 section 10.2.3)
  delays the requests of all orders, not only of the one that received it (``responses``).
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from gatecert.acme.protocol import stopping_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatecert.deadline import Deadline

MOST_ORDERS: Final = 20
SAME_SECONDS: Final = 1.0  # two responses that ask for the same pause are so far apart
SLICE_SECONDS: Final = 0.5  # how soon a stopping gatecert is noticed


class OrderTurns:
    """Turns of orders at one authority; safe to use from several threads.

    Args:
        most: The number of orders at the same time.
    """

    def __init__(self, most: int = MOST_ORDERS) -> None:
        self._free = threading.Semaphore(most)
        self._first_in_line = threading.Lock()

    @contextmanager
    def turn(
        self, cancelled: threading.Event | None = None, queued: Callable[[], None] = lambda: None
    ) -> Iterator[None]:
        """Wait for a turn, however long, and hold it.

        Args:
            cancelled: Set when gatecert is stopping; the same for all orders of a process.
            queued: Called if this order has to wait.

        Raises:
            InterruptedOrderError: ``cancelled`` was set.
        """
        if self._first_in_line.locked():
            queued()
        with self._first_in_line:
            self._wait(cancelled, queued)
        try:
            yield
        finally:
            self._free.release()

    def _wait(self, cancelled: threading.Event | None, queued: Callable[[], None]) -> None:
        if cancelled is not None and cancelled.is_set():
            raise stopping_error()
        if self._free.acquire(blocking=False):
            return
        queued()
        while not self._free.acquire(timeout=SLICE_SECONDS if cancelled is not None else None):
            if cancelled is not None and cancelled.is_set():
                raise stopping_error()


class SharedPause:
    """A pause of all requests to one authority; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends = 0.0  # on ``time.monotonic()``

    @property
    def remaining(self) -> float:
        """The seconds left, at least zero."""
        return max(0.0, self._ends - time.monotonic())

    def extend(self, seconds: float) -> bool:
        """Pause for at least so many seconds from now; tell whether that is clearly longer."""
        with self._lock:
            before, self._ends = self._ends, max(self._ends, time.monotonic() + seconds)
            return self._ends - before > SAME_SECONDS

    def wait(self, deadline: Deadline) -> bool:
        """Wait for the end of the pause; return False if it ends after the deadline.

        Raises:
            InterruptedOrderError: ``deadline`` was cancelled.
        """
        waited_for = 0.0
        while (ends := self._ends) > waited_for:  # once more if it was extended meanwhile
            waited_for, seconds = ends, ends - time.monotonic()
            if seconds <= 0.0:
                return True
            if seconds >= deadline.remaining and not deadline.interrupted:
                return False
            deadline.wait(seconds)
            if deadline.interrupted:
                raise stopping_error()
        return True
