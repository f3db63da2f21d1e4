"""A store as the tests of conformance get it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import datetime, timedelta

    from gatecert.store.protocol import HostStore


class StoreUnderTest(Protocol):
    """A store that can be opened anew, and that fails as told; nothing is in it yet."""

    def open(self) -> HostStore:
        """Open the store in what is meant to be a process of its own."""
        ...

    def now(self) -> datetime:
        """Read the clock by which requests are counted, aware UTC."""
        ...

    def later(self, wait: timedelta) -> None:
        """Set that clock forward, if it is not the one of a server."""
        ...

    def failing_at(self, step: int, *, killed: bool) -> AbstractContextManager[None]:
        """Let the step of that number, from zero, and all after it fail.

        Args:
            step: Of the steps in which a store writes.
            killed: Raise `Killed`, of which a store sees nothing; otherwise its disk is full, or
                its server is gone.
        """
        ...


class Killed(BaseException):
    """The end of a process between two steps."""
