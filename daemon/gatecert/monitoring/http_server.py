"""An HTTP server for metrics and the status page, bounded against any client.

Each connection is a task of the one event loop. Everything that a client can cost is bounded: the
number of connections, the time until a request is whole and until a response is taken, the bytes of
a request, and the memory of both. If the server is full, a new connection takes the place of the
oldest one whose request is not whole, so that clients that only connect keep nobody out. If those
that do not read hold too much, the ones that were answered first are cut off.

See docs/decisions/0024-monitoring-listeners.md for the choice of h11.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from gatecert.errors import clean
from gatecert.model import WebAccess
from gatecert.monitoring.content_encoding import Compression
from gatecert.monitoring.exchange import Response
from gatecert.monitoring.host_check import MISDIRECTED, is_misdirected
from gatecert.monitoring.http_connection import LIMITS, HttpConnection
from gatecert.monitoring.received_request import METHODS, RefusedRequestError
from gatecert.monitoring.socket_channel import Channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatecert.monitoring.exchange import Handler
    from gatecert.monitoring.http_connection import ByteChannel, Limits
    from gatecert.monitoring.password_check import PasswordCheck
    from gatecert.monitoring.received_request import Received
    from gatecert.monitoring.web_access import RenewedContext

logger = logging.getLogger(__name__)

OPEN: Final = WebAccess()  # without TLS and passwords
ACCEPTED_AT_ONCE: Final = 16
ACCEPT_PAUSE: Final = 0.1  # seconds after a failure, such as a lack of descriptors
EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
RETRY_AFTER: Final = {"retry-after": "30"}  # seconds
KEEPALIVE: Final = (  # finds clients that are gone without a word; no timer of this process
    (socket.TCP_KEEPIDLE, 60),
    (socket.TCP_KEEPINTVL, 15),
    (socket.TCP_KEEPCNT, 4),
)
CHALLENGE: Final = {"www-authenticate": 'Basic realm="gatecert", charset="UTF-8"'}


@dataclass(slots=True, eq=False)
class _Client:
    """A connection.

    Attributes:
        address: IP address, or ``socket`` of a Unix socket.
        task: Serves it.
        body: What it is sent; empty while there is no response.
    """

    address: str
    task: asyncio.Task[None] | None = None
    body: bytes = b""

    def cut_off(self) -> None:
        """Close the connection at once."""
        if self.task is not None:
            self.task.cancel()


class HttpServer:
    """A server on listening sockets, from ``listen`` to ``close``; both are called in the loop.

    Args:
        handler: Answers requests; may be replaced at any time.
        access: TLS, passwords and headers.
        limits: Its limits.
        changed: Is called when a problem of TLS begins or ends.
    """

    def __init__(
        self,
        handler: Handler,
        access: WebAccess = OPEN,
        *,
        limits: Limits = LIMITS,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.handler = handler
        self._access = access
        self._limits = limits
        self._tls = _tls(access, changed)
        self._passwords = _passwords(access)
        self._compression = Compression()
        self._accepting: set[asyncio.Task[None]] = set()
        self._waiting: dict[_Client, None] = {}  # for a whole request; oldest first
        self._answering: dict[_Client, None] = {}
        self._streams = 0
        self._turn = asyncio.Lock()

    @property
    def problem(self) -> tuple[str, str]:
        """The problem of TLS and its fix; both empty if there is none."""
        return (self._tls.problem, self._tls.fix) if self._tls is not None else ("", "")

    def check_files(self) -> bool:
        """Read the files of TLS if they have changed; tell whether connections are possible."""
        return self._tls is None or self._tls.current() is not None

    def listen(self, listener: socket.socket) -> None:
        """Serve the connections of a listening socket, which the caller closes after ``close``."""
        listener.setblocking(False)  # noqa: FBT003 - positional only
        task = asyncio.get_running_loop().create_task(self._accept(listener))
        task.add_done_callback(_log_error)
        self._accepting.add(task)

    async def close(self) -> None:
        """Close all connections."""
        clients = (*self._waiting, *self._answering)
        tasks = [*self._accepting, *(each.task for each in clients if each.task is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._accepting.clear()
        if self._passwords is not None:
            await self._passwords.close()

    # ------------------------------------------------------------------ connections

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        accepted = 0
        while True:
            try:
                connected, address = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno in EXHAUSTED:
                    for _ in range(ACCEPTED_AT_ONCE):
                        self._make_room()
                await asyncio.sleep(ACCEPT_PAUSE)
                continue
            if len(self._waiting) + len(self._answering) >= self._limits.connections:
                self._make_room()
            client = _Client(str(address[0]) if address else "socket")
            self._waiting[client] = None
            client.task = loop.create_task(self._serve(client, connected))
            client.task.add_done_callback(partial(self._forget, client))
            accepted += 1
            if accepted % ACCEPTED_AT_ONCE == 0:
                await asyncio.sleep(0)  # the turn of others, however many connect

    def _make_room(self) -> None:
        """Close the oldest connection whose request is not whole; else the oldest of all."""
        group = self._waiting or self._answering
        if group:
            oldest = next(iter(group))
            del group[oldest]
            oldest.cut_off()

    def _forget(self, client: _Client, task: asyncio.Task[None]) -> None:
        self._waiting.pop(client, None)
        self._answering.pop(client, None)
        client.task = None  # whose end refers to what it was about to send
        _log_error(task)

    async def _serve(self, client: _Client, connected: socket.socket) -> None:
        raw = Channel()
        try:
            channel = await self._connect(connected, raw)
            connection = HttpConnection(
                channel, self._compression, self._limits, self._access.headers
            )
            await self._converse(client, connection)
            await connection.finish()
        except OSError as error:  # it has left, is too slow, or failed the handshake
            logger.debug("connection ended client=%s reason=%s", client.address, error)
        finally:
            raw.abort()  # nothing, if it was closed
            if not raw.connected:
                connected.close()

    async def _connect(self, connected: socket.socket, raw: Channel) -> ByteChannel:
        """Give a connection to a channel, with TLS if that is configured."""
        if connected.family != socket.AF_UNIX:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in KEEPALIVE:
                connected.setsockopt(socket.IPPROTO_TCP, option, value)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: raw, connected)
        context = self._tls.current() if self._tls is not None else None
        if context is None:
            return raw
        from gatecert.monitoring.tls_channel import TlsChannel  # noqa: PLC0415 - as in `_tls`

        channel = TlsChannel(raw, context)
        async with asyncio.timeout(self._limits.request_seconds):
            await channel.shake_hands()
        return channel

    async def _converse(self, client: _Client, connection: HttpConnection) -> None:
        """Answer requests until no further one can follow."""
        while True:
            try:
                received = await connection.receive()
            except RefusedRequestError as error:
                if connection.can_answer:
                    await connection.send(None, error.response)
                return
            if received is None:
                return
            _move(client, self._waiting, self._answering)
            await self._answer(client, connection, received)
            if not connection.can_follow:
                return
            _move(client, self._answering, self._waiting)

    # ------------------------------------------------------------------ responses

    async def _answer(
        self, client: _Client, connection: HttpConnection, received: Received
    ) -> None:
        response = await self._response(client, received)
        stream = response.stream
        if stream is None:
            await connection.send(received, response)
            client.body = b""
            return
        self._streams += 1
        try:
            if self._streams > self._limits.streams:
                response = Response(b"too many clients\n", 503, headers=RETRY_AFTER)
            await connection.send(received, response)
        finally:
            self._streams -= 1
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()

    async def _response(self, client: _Client, received: Received) -> Response:
        if self._passwords is not None:
            allowed = await self._passwords.allows(received.authorization, client.address)
            if allowed is None:
                return Response(b"too many passwords to check\n", 503, headers=RETRY_AFTER)
            if not allowed:
                return Response(b"a user name and a password are needed\n", 401, headers=CHALLENGE)
        elif self._tls is None and is_misdirected(
            received.request.headers.get("host", ""), client.address
        ):
            return MISDIRECTED
        if received.method not in METHODS:
            return RefusedRequestError(405).response
        async with self._turn:  # what is cut off is released before the next body is made
            try:
                response = self.handler(received.request)
            except Exception:
                logger.exception("request not answered path=%s", clean(received.request.path, 100))
                return Response(b"internal error\n", 500)
            await self._hold(client, response.body)
            return response

    async def _hold(self, client: _Client, body: bytes) -> None:
        """Cut off those that were answered first, until this body is not too much to hold."""
        client.body = body
        ending = []
        for each in [*self._answering]:
            bodies = {id(one.body): len(one.body) for one in self._answering}
            if sum(bodies.values()) <= self._limits.body_bytes:
                break
            if each.task is not None and each.body and each.body is not body:
                del self._answering[each]
                each.cut_off()
                ending.append(each.task)
        if ending:
            await asyncio.wait(ending)


def _log_error(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("connection ended by an unexpected error", exc_info=error)


def _tls(access: WebAccess, changed: Callable[[], None]) -> RenewedContext | None:
    if not access.certificate:
        return None
    from gatecert.monitoring.web_access import RenewedContext  # noqa: PLC0415 - only if configured

    return RenewedContext(access, changed)


def _passwords(access: WebAccess) -> PasswordCheck | None:
    if not access.users:
        return None
    from gatecert.monitoring.password_check import PasswordCheck  # noqa: PLC0415 - as in `_tls`

    return PasswordCheck(access.users)


def _move(client: _Client, source: dict[_Client, None], destination: dict[_Client, None]) -> None:
    """Move a connection to the end of another group, unless it was cut off meanwhile."""
    if client in source:
        del source[client]
        destination[client] = None
