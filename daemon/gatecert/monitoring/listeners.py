"""The listeners of metrics and the status page: opened, kept, closed, and tried again.

A listener that cannot be opened is no reason to stop: it has a problem, which ``gatecert status``
shows, and is tried again.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatecert.errors import GatecertError
from gatecert.model import WebAccess
from gatecert.monitoring.exchange import Handler
from gatecert.monitoring.http_connection import LIMITS
from gatecert.monitoring.http_server import HttpServer
from gatecert.monitoring.listening_sockets import ListeningSocket, open_listener
from gatecert.report.monitoring_status import ListenerStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatecert.monitoring.http_connection import Limits

logger = logging.getLogger(__name__)

RETRY_PAUSE: Final = 25.0  # seconds


@dataclass(frozen=True, slots=True)
class WantedListener:
    """A listener of the configuration.

    Attributes:
        purpose: ``metrics`` or ``page``, its key in the configuration.
        address: ``address:port`` or ``unix:/path``.
    """

    purpose: str
    address: str
    access: WebAccess
    handler: Handler


@dataclass(slots=True)
class _Listener:
    """A wanted listener, and what there is of it.

    Attributes:
        opened: None if it could not be opened.
        problem: Why; empty if it was.
        logged: The last problem that was logged.
    """

    wanted: WantedListener
    server: HttpServer
    opened: ListeningSocket | None = None
    problem: str = ""
    fix: str = ""
    logged: str = ""

    @property
    def status(self) -> ListenerStatus:
        """Its status."""
        of_tls = self.server.problem
        problem, fix = of_tls if any(of_tls) else (self.problem, self.fix)
        return ListenerStatus(self.wanted.purpose, self.wanted.address, problem, fix)

    def open(self) -> None:
        """Listen, unless it does already or cannot."""
        usable = self.server.check_files()
        if self.opened is None and usable:
            try:
                self.opened = open_listener(self.wanted.address, f"{self.wanted.purpose}.listen")
            except GatecertError as error:
                self.problem, self.fix = error.message, error.fix
            else:
                self.problem = self.fix = ""
                self.server.listen(self.opened.socket)
        self.log()

    def log(self) -> None:
        """Log a problem that is new, or that is over."""
        status = self.status
        if status.problem == self.logged:
            return
        where = f"purpose={status.purpose} address={status.address}"
        if status.problem:
            logger.warning("listener: %s (%s) %s", status.problem, status.fix, where)
        else:
            logger.info("listener works again %s", where)
        self.logged = status.problem

    async def close(self) -> None:
        """Close it and its connections."""
        await self.server.close()
        if self.opened is not None:
            self.opened.close()
            self.opened = None


class Listeners:
    """All listeners. Every method is called in the event loop; none raises.

    The loop calls ``keep`` with each plan, ``retry`` every 30 s or more often while
    ``has_problems``, and ``close`` at the end.

    Args:
        limits: Of each listener.
        pause: Seconds in which ``retry`` does nothing again; to find who holds a port takes time.
        changed: Is called when ``statuses`` change without one of these calls: the files of TLS
            were renewed badly, or corrected.
    """

    def __init__(
        self,
        *,
        limits: Limits = LIMITS,
        pause: float = RETRY_PAUSE,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._limits = limits
        self._pause = pause
        self._tried_at = 0.0  # on the clock of the loop
        self._changed = changed
        self._listeners: dict[tuple[str, str], _Listener] = {}

    async def keep(self, wanted: Sequence[WantedListener]) -> None:
        """Open the listeners that are wanted and not open, and close all others.

        One whose handler alone is another keeps its connections.
        """
        kept: dict[tuple[str, str], _Listener] = {}
        for new in wanted:
            place = (new.purpose, new.address)
            old = self._listeners.get(place)
            if old is not None and old.wanted.access == new.access:
                kept[place] = self._listeners.pop(place)
                kept[place].server.handler = new.handler
            else:
                kept[place] = self._new(new)
        for listener in self._listeners.values():  # before others are opened, maybe there
            await listener.close()
        self._listeners = kept
        self._open()

    async def retry(self) -> None:
        """Try again to open what could not be opened, and look at the files of TLS."""
        if asyncio.get_running_loop().time() - self._tried_at >= self._pause:
            self._open()

    def _open(self) -> None:
        self._tried_at = asyncio.get_running_loop().time()
        for listener in self._listeners.values():
            listener.open()

    @property
    def has_problems(self) -> bool:
        """True if ``retry`` may change something."""
        return any(status.problem for status in self.statuses())

    def statuses(self) -> tuple[ListenerStatus, ...]:
        """Return the status of each wanted listener."""
        return tuple(listener.status for listener in self._listeners.values())

    async def close(self) -> None:
        """Close all listeners."""
        await self.keep(())

    def _new(self, wanted: WantedListener) -> _Listener:
        listener: _Listener

        def changed() -> None:
            listener.log()
            self._changed()

        server = HttpServer(wanted.handler, wanted.access, limits=self._limits, changed=changed)
        listener = _Listener(wanted, server)
        return listener
