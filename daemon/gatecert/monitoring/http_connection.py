"""HTTP/1.1 on one connection: requests in, responses out, each within its time (RFC 9112).

Only GET and HEAD are expected, which have no content. What is malformed, too long or too slow gets
one last response, if that can still be sent, and the connection ends.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol, cast

import h11

from gatecert.monitoring.content_encoding import PART, SMALLEST, accepts_gzip, compressed, parts
from gatecert.monitoring.received_request import (
    METHODS,
    RefusedRequestError,
    received_request,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from gatecert.monitoring.content_encoding import Compression
    from gatecert.monitoring.exchange import Response
    from gatecert.monitoring.received_request import Received

LINGER_SECONDS: Final = 1.0
LINGER_BYTES: Final = 256 << 10
HEADERS: Final = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class ByteChannel(Protocol):
    """The bytes of a connection: a `Channel`, or a `TlsChannel` on one."""

    async def read(self) -> bytes:
        """Return received bytes as soon as there are any; none at the end."""
        ...

    async def ended(self) -> None:
        """Wait until the client has left or sends what nobody has asked for."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes; return once the kernel has taken them."""
        ...

    async def linger(self, seconds: float, most: int) -> None:
        """Let the client read the last response before the connection is closed."""
        ...

    async def close(self) -> None:
        """Close the connection; everything was sent."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a server and its connections.

    Attributes:
        connections: At the same time.
        streams: Responses without an end, at the same time.
        request_bytes: Of the request line and all headers.
        request_seconds: Until a request is whole, from its first byte, or from the connection.
        idle_seconds: Between a response and the first byte of the next request. More than the
            minute between two scrapes, so that a scrape does not meet a closing connection.
        part_seconds: Until the client has taken one part of 64 kB.
        body_bytes: Of all bodies that are being sent; one that many clients get counts once.
    """

    connections: int = 256
    streams: int = 32
    request_bytes: int = 16 << 10
    request_seconds: float = 10.0
    idle_seconds: float = 75.0
    part_seconds: float = 30.0
    body_bytes: int = 64 << 20


LIMITS: Final = Limits()


class HttpConnection:
    """Requests and responses of one connection.

    Args:
        channel: Its bytes.
        compression: Of the server.
        limits: Of the server.
        headers: Sent with each response.
    """

    def __init__(
        self,
        channel: ByteChannel,
        compression: Compression,
        limits: Limits,
        headers: Mapping[str, str],
    ) -> None:
        self._channel = channel
        self._compression = compression
        self._limits = limits
        self._headers = headers
        self._unsent: list[bytes] = []  # some are views
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.request_bytes)

    async def receive(self) -> Received | None:
        """Return the next request; None if the client sends none.

        Raises:
            RefusedRequestError: It is malformed, too long or too slow.
        """
        if self.can_follow:
            self._protocol.start_next_cycle()
            if not await self._begins():
                return None
        try:
            async with asyncio.timeout(self._limits.request_seconds):
                return await self._whole()
        except TimeoutError as error:
            if not self._protocol.trailing_data[0]:  # it has not begun, so nobody waits
                return None
            raise RefusedRequestError(408) from error
        except h11.RemoteProtocolError as error:
            raise RefusedRequestError(self._status_of(error)) from error

    async def _begins(self) -> bool:
        """Wait for the first byte of a request; tell whether there is one."""
        if self._protocol.trailing_data[0]:
            return True
        try:
            async with asyncio.timeout(self._limits.idle_seconds):
                data = await self._channel.read()
        except TimeoutError:
            return False
        self._protocol.receive_data(data)
        return bool(data)

    async def _whole(self) -> Received | None:
        received: Received | None = None
        while True:
            match self._protocol.next_event():
                case h11.Request() as event:
                    received = received_request(event, self._limits.request_bytes)
                    if received.method not in METHODS:
                        return received  # its content is not read
                case h11.EndOfMessage():
                    return received
                case h11.Data():
                    raise RefusedRequestError(413)
                case h11.ConnectionClosed():
                    return None
                case _:
                    self._protocol.receive_data(await self._channel.read())

    def _status_of(self, error: h11.RemoteProtocolError) -> int:
        if error.error_status_hint != 431:  # noqa: PLR2004
            return 400
        return 431 if b"\n" in self._protocol.trailing_data[0] else 414

    # ------------------------------------------------------------------ responses

    async def send(self, received: Received | None, response: Response) -> None:
        """Send a response.

        Args:
            received: The request; None if it was not understood.
            response: Its response; the stream of it is closed by the caller.

        Raises:
            OSError: The client has left, or does not read.
            h11.LocalProtocolError: A header is malformed.
        """
        headers = dict(HEADERS)
        for more in (self._headers, response.headers):  # the last one of a name counts
            headers |= {name.lower(): value for name, value in more.items()}
        headers |= {"content-type": response.content_type, "date": _date()}
        body, encoding = self._encoded(received, response)
        await self._send(
            h11.Response(
                status_code=response.status,
                reason=HTTPStatus(response.status).phrase.encode("ascii"),
                headers=list((headers | encoding).items()),
            )
        )
        if received is None or received.method != "HEAD":
            for part in body:
                await self._send(h11.Data(data=cast("bytes", part)))
            if response.stream is not None:
                await self._flush()
                await self._send_stream(response.stream)
        await self._send(h11.EndOfMessage())
        await self._flush()

    @property
    def can_answer(self) -> bool:
        """True if no response was begun."""
        return self._protocol.our_state in {h11.IDLE, h11.SEND_RESPONSE}

    @property
    def can_follow(self) -> bool:
        """True if another request can follow the last response."""
        return self._protocol.our_state is h11.DONE and self._protocol.their_state is h11.DONE

    async def finish(self) -> None:
        """Close the connection, once the client could read the last response.

        Raises:
            OSError: The client does not take what was sent.
        """
        async with asyncio.timeout(self._limits.part_seconds):
            if self._protocol.their_state in {h11.IDLE, h11.SEND_BODY, h11.ERROR}:
                await self._channel.linger(LINGER_SECONDS, LINGER_BYTES)
            await self._channel.close()

    def _encoded(
        self, received: Received | None, response: Response
    ) -> tuple[Iterable[bytes | memoryview], dict[str, str]]:
        """Return a body as it is sent, in parts, and the headers that say how."""
        body = response.body
        if response.stream is not None:
            return parts(body), {}
        if len(body) < SMALLEST:
            return parts(body), {"content-length": str(len(body))}
        headers = {"vary": "accept-encoding"}
        accepted = received.request.headers.get("accept-encoding", "") if received else ""
        if not accepts_gzip(accepted):
            return parts(body), headers | {"content-length": str(len(body))}
        headers["content-encoding"] = "gzip"
        whole = self._compression.whole(body)
        if whole is None:
            return compressed(body), headers
        return parts(whole), headers | {"content-length": str(len(whole))}

    async def _send(self, event: h11.Event) -> None:
        """Send a part, together with others if it is small."""
        self._unsent += self._protocol.send_with_data_passthrough(event) or ()
        if sum(map(len, self._unsent)) >= PART:
            await self._flush()
            await asyncio.sleep(0)  # the turn of others: the kernel may have taken all at once

    async def _flush(self) -> None:
        pieces, self._unsent = self._unsent, []
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if data:
            async with asyncio.timeout(self._limits.part_seconds):
                await self._channel.write(data)

    async def _send_stream(self, stream: AsyncIterator[bytes]) -> None:
        """Send parts until there are no more, or the client leaves."""
        left = asyncio.ensure_future(self._channel.ended())
        try:
            while True:
                following = asyncio.ensure_future(anext(stream, None))
                try:
                    await asyncio.wait({left, following}, return_when=asyncio.FIRST_COMPLETED)
                    part = following.result() if following.done() else None
                finally:
                    if not following.done():
                        following.cancel()
                        await asyncio.wait({following})
                if part is None:
                    return
                for each in parts(part):
                    await self._send(h11.Data(data=cast("bytes", each)))
                await self._flush()
        finally:
            left.cancel()


def _date() -> str:
    """Return the time as in RFC 9110 section 5.6.7; no locale is set."""
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
