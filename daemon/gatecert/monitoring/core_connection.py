"""The monitor's end of the connection to the core."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from gatecert.supervision.messages import LineReader, decode, encode

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from gatecert.supervision.messages import Message

CHUNK: Final = 1 << 18  # bytes read at once


class CoreConnection:
    """Messages from and to the core.

    Args:
        reader: What the core sends.
        writer: What it gets.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, connected: socket.socket) -> CoreConnection:
        """Return the connection over a socket."""
        return cls(*await asyncio.open_connection(sock=connected))

    def send(self, message: Message) -> None:
        """Send a message, as soon as the core takes it."""
        self._writer.write(encode(message))

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what the core sends, until it has ended.

        Raises:
            MessageError: It sent something that is no message.
        """
        lines = LineReader()
        while data := await self._reader.read(CHUNK):
            for line in lines.feed(data):
                yield decode(line)

    async def close(self) -> None:
        """Send what is left, and close the connection."""
        self._writer.close()
        with suppress(ConnectionError):  # the core has ended
            await self._writer.wait_closed()
