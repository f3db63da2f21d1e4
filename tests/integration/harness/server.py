"""A server that runs beside the test, as a context manager."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self, TypeVar

from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from harness.process import BackgroundProcess

Value = TypeVar("Value")


class Server(ABC):
    """Base class of all servers.

    Attributes:
        process: The program; it runs from ``start`` on.
    """

    process: BackgroundProcess

    @abstractmethod
    def start(self) -> Self:
        """Start it, and wait until it is ready."""

    def when_ready(self, attempt: Callable[[], Value | None], what: str) -> Value:
        """Call ``attempt`` until it returns a true value, and return that.

        Args:
            attempt: As for :func:`wait_until`.
            what: The server and its address, for the error.

        Raises:
            RuntimeError: It has ended.
            WaitedTooLongError: It was not ready in time.
        """

        def attempt_while_alive() -> Value | None:
            if not self.process.alive:
                raise RuntimeError(f"{what} ended at once\n{self.process.tail()}")
            return attempt()

        return wait_until(attempt_while_alive, what, explain=self.process.tail)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.__exit__(kind, error, traceback)
