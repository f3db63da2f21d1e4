"""A status page behind a real server, whose gateways a test changes."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Self

from tests.fakes.gateway_statuses import NOW

from gatecert.monitoring.http_server import HttpServer
from gatecert.monitoring.overview import Overview
from gatecert.monitoring.page import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta

    from gatecert.monitoring.exchange import Request, Response
    from gatecert.report.gateway_status import GatewayStatus


class ServedPage:
    """The status page on a loopback port, in an event loop of its own.

    Attributes:
        address: URL of the page.
        asked: Path of each request.
    """

    def __init__(self) -> None:
        self.overview = Overview(daemon=4711, ready=True)
        self.address = ""
        self.asked: list[str] = []
        self._now = NOW
        self._page = Page(self.overview, lambda: self._now)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def show(self, statuses: Iterable[GatewayStatus], *, daemon: int | None = 4711) -> None:
        """Have exactly these gateways."""
        told = tuple(statuses)

        def change() -> None:
            self.overview.daemon = daemon
            self.overview.keep(one.name for one in told)
            for one in told:
                self.overview.describe(one)

        self.change(change)

    def describe(self, status: GatewayStatus) -> None:
        """Describe one gateway again."""
        self.change(lambda: self.overview.describe(status))

    def wait(self, time: timedelta) -> None:
        """Let time pass."""
        self._now += time

    def change(self, action: Callable[[], None]) -> None:
        """Do something in the event loop, and wait until it is done."""

        async def run() -> None:
            action()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def start(self) -> None:
        """Listen, at the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}/"
        self._server = HttpServer(self._answer)
        self.change(lambda: self._server.listen(self._listener))

    def stop(self) -> None:
        """Close the port and every connection."""
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result(10)
        self._listener.close()

    def _answer(self, request: Request) -> Response:
        self.asked.append(request.path)
        return self._page(request)
