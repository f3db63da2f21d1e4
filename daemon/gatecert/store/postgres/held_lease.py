"""The lease that a host holds, counted on the clock of the host.

The server gives a lease for 120 s of its own clock. The host counts from before it asked, on a
clock that also runs while the machine sleeps, so it never counts longer than the server. A thread
renews the lease every 30 s. With less than a quarter left the host sends nothing more: what it has
sent by then reaches the CA before another host can hold the lease.

A lease that has ended may be renewed until another host has taken it: all writes compare its UUID,
so nobody else has changed anything of the gateway. A host that was frozen for longer finds out by
the same comparison.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from gatecert.errors import LeaseLostError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

logger = logging.getLogger(__name__)

LENGTH = 120.0  # seconds
QUARTER = 1 / 4  # of its length, after which it is renewed, and which must be left to send anything
TRIED_AGAIN = 1 / 24  # of its length, after which a renewal is tried again without the database


def host_clock() -> float:
    """Return the seconds since the machine has started, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class HeldLease:
    """The right to order for a gateway; see ``store.protocol.Lease``.

    Threads may share it.

    Args:
        gateway: Its name, for messages.
        token: What the gateway's row holds for as long as the lease is held.
        asked: When the host asked for it, on ``clock``.
        renew: Asks the server for the whole length again; false if another host has the lease.
        length: How long the server gives it, in seconds.
        clock: The clock of the host, in seconds.

    Attributes:
        token: See above.
    """

    def __init__(  # noqa: PLR0913 - what is held, and by which clock
        self,
        gateway: str,
        token: UUID,
        asked: float,
        renew: Callable[[UUID], bool],
        *,
        length: float = LENGTH,
        clock: Callable[[], float] = host_clock,
    ) -> None:
        self.token = token
        self._gateway = gateway
        self._length = length
        self._until = asked + length
        self._renew = renew
        self._clock = clock
        self._ended = threading.Event()

    @property
    def remaining(self) -> float:
        """The seconds left; zero after the end."""
        return 0.0 if self._ended.is_set() else max(0.0, self._until - self._clock())

    @property
    def is_held(self) -> bool:
        """True until it has ended, or another host is known to have taken it."""
        return not self._ended.is_set()

    def renew(self) -> None:
        """Renew the lease, unless another host has taken it.

        Raises:
            StorageError: The database does not answer; the lease lasts as long as before.
        """
        asked = self._clock()
        if self._ended.is_set():
            return
        if self._renew(self.token):
            self._until = asked + self._length
        else:
            logger.info("lease lost gateway=%s", self._gateway)
            self._ended.set()

    def check(self) -> None:
        """Look again, right before anything is sent; an overdue renewal is made up for.

        Raises:
            LeaseLostError: Another host holds it, or may before the CA has the request.
        """
        if self.remaining < self._length * (1 - 2 * QUARTER):
            with suppress(StorageError):
                self.renew()
        if self.remaining < self._length * QUARTER:
            raise lost(self._gateway)

    def end(self) -> None:
        """Count the lease as ended: the server has been told, or another host has it."""
        self._ended.set()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease in time, until it has ended."""
        thread = threading.Thread(target=self._renew_in_time, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _renew_in_time(self) -> None:
        pause = self._length * QUARTER
        while not self._ended.wait(pause):
            try:
                self.renew()
                pause = self._length * QUARTER
            except StorageError as error:
                logger.debug("lease not renewed gateway=%s error=%s", self._gateway, error)
                pause = self._length * TRIED_AGAIN


def lost(gateway: str) -> LeaseLostError:
    """Return the error of a host that does not hold the lease of a gateway."""
    return LeaseLostError(
        f"another host of the cluster orders for gateway {gateway}, or may by now,"
        f" so this one sends nothing for it",
        fix="no action needed: this host installs what the other one obtains",
    )
