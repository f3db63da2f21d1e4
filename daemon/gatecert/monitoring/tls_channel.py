"""TLS on a `Channel`, with as little memory as it has.

asyncio's own TLS has 256 kB of buffers for each connection before the client has sent a byte, 64 MB
for as many as may connect. The library is the same here (ssl.SSLObject on two BIOs in memory), and
the buffers are those of the channel.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from gatecert.monitoring.socket_channel import RECEIVED

if TYPE_CHECKING:
    from gatecert.monitoring.socket_channel import Channel


class TlsChannel:
    """The server's side of a TLS connection.

    Args:
        channel: What TLS runs on.
        context: The context of the server.
    """

    def __init__(self, channel: Channel, context: ssl.SSLContext) -> None:
        self._channel = channel
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def shake_hands(self) -> None:
        """Begin TLS.

        Raises:
            OSError: The client does not, or not as the context demands.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._receive()
            except ssl.SSLError:
                await self._flush()  # the alert says why
                raise
            else:
                await self._flush()
                return

    async def read(self) -> bytes:
        """Return received bytes as soon as there are any; none at the end.

        Raises:
            OSError: What was received is not TLS.
        """
        while True:
            try:
                return self._tls.read(RECEIVED)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._receive()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def ended(self) -> None:
        """Wait until the client has left or sends what nobody has asked for."""
        await self._channel.ended()

    async def write(self, data: bytes) -> None:
        """Send bytes; return once the kernel has taken them.

        Raises:
            OSError: The client has left.
        """
        self._tls.write(data)
        await self._flush()

    async def linger(self, seconds: float, most: int) -> None:
        """Let the client read the last response before the connection is closed."""
        await self._say_goodbye()
        await self._channel.linger(seconds, most)

    async def close(self) -> None:
        """Close the connection; everything was sent."""
        await self._say_goodbye()
        await self._channel.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._channel.abort()

    async def _say_goodbye(self) -> None:
        """Send ``close_notify``, without which the end may be an attacker's (RFC 8446, 6.1)."""
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        await self._flush()

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self._channel.write(data)

    async def _receive(self) -> None:
        if data := await self._channel.read():
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
