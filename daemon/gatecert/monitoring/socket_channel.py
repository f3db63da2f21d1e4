"""The bytes of one connection, with bounded memory in both directions.

asyncio's streams take up to 256 kB in one read before they can say stop. This protocol takes
`RECEIVED` bytes, and lets the kernel make the client wait; what is sent waits in the kernel too.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, cast

RECEIVED: Final = 16 << 10  # bytes that are kept until they are read
_SPACE: Final = memoryview(bytearray(RECEIVED))  # for all connections, since one loop reads them


class Channel(asyncio.BufferedProtocol):
    """A protocol that a coroutine reads from and writes to."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._ended = False
        self._lost = False
        self._transport: asyncio.Transport | None = None
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def connected(self) -> bool:
        """True once a transport owns the socket."""
        return self._transport is not None

    # ------------------------------------------------------------------ called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Use a transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=1)  # byte: what the kernel does not take

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return where received bytes may be written."""
        return _SPACE

    def buffer_updated(self, nbytes: int) -> None:
        """Take received bytes."""
        self._received += _SPACE[:nbytes]
        if len(self._received) >= RECEIVED and self._transport is not None:
            self._transport.pause_reading()
        self._readable.set()

    def eof_received(self) -> bool:
        """Note that the client sends no more; it may still wait for a response."""
        self._ended = True
        self._readable.set()
        return True

    def pause_writing(self) -> None:
        """Note that the kernel takes no more."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Note that the kernel has taken everything."""
        self._writable.set()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Wake who waits."""
        self._ended = self._lost = True
        self._readable.set()
        self._writable.set()

    # ------------------------------------------------------------------ called by coroutines

    async def read(self) -> bytes:
        """Return received bytes as soon as there are any; none at the end."""
        while not self._received and not self._ended:
            self._readable.clear()
            await self._readable.wait()
        data = bytes(self._received)
        self._received.clear()
        if self._transport is not None:
            self._transport.resume_reading()
        return data

    async def ended(self) -> None:
        """Wait until the client has left or sends what nobody has asked for."""
        while not self._received and not self._ended:
            self._readable.clear()
            await self._readable.wait()

    async def write(self, data: bytes) -> None:
        """Send bytes; return once the kernel has taken them.

        Raises:
            ConnectionResetError: The client has left.
        """
        if self._lost or self._transport is None:
            raise ConnectionResetError
        self._transport.write(data)
        await self._writable.wait()
        if self._lost:
            raise ConnectionResetError

    async def linger(self, seconds: float, most: int) -> None:
        """Let the client read the last response before the connection is closed.

        A connection that is closed while data is unread is reset, which discards the response
        (RFC 9112 section 9.6).

        Args:
            seconds: How long to wait for the client to close it.
            most: How many bytes may still arrive.
        """
        if self._transport is not None and self._transport.can_write_eof():
            with suppress(OSError):
                self._transport.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while most > 0 and (data := await self.read()):
                    most -= len(data)

    async def close(self) -> None:
        """Close the connection; everything was sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()
