"""A server of the monitor on a Unix socket, and clients of it, well-behaved or not."""

from __future__ import annotations

import asyncio
import io
import ssl
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING

from gatecert.model import WebAccess
from gatecert.monitoring.exchange import Request, Response
from gatecert.monitoring.http_connection import LIMITS, Limits
from gatecert.monitoring.http_server import HttpServer
from gatecert.monitoring.listening_sockets import open_listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gatecert.monitoring.exchange import Handler

OPEN = WebAccess()
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST_GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def echo(request: Request) -> Response:
    """Answer with the path and the query."""
    return Response(f"{request.path} {dict(request.query)}".encode())


@dataclass(frozen=True)
class Answer:
    """A response as a client reads it."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Served:
    """A server, and how to connect to it."""

    server: HttpServer
    path: str
    tls: ssl.SSLContext | None = None

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect."""
        if self.tls is None:
            return await asyncio.open_unix_connection(self.path)
        return await asyncio.open_unix_connection(self.path, ssl=self.tls, server_hostname="a")

    async def raw(self, *pieces: bytes, pause: float = 0.0) -> bytes:
        """Send bytes, piece by piece; return everything that the server sends."""
        reader, writer = await self.connect()
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def ask(self, *pieces: bytes, pause: float = 0.0) -> Answer:
        """Send a request, the last of its connection; return the response."""
        return answer(await self.raw(*pieces or (LAST_GET,), pause=pause))

    async def get(self, target: str = "/", method: str = "GET", **headers: str) -> Answer:
        """Request a target."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{method} {target} HTTP/1.1", "Host: a", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in named.items()]
        return answer(await self.raw("\r\n".join([*lines, "", ""]).encode("latin-1")), method)


class _Bytes:
    """The bytes that HTTPResponse reads in place of a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def answer(data: bytes, method: str = "GET") -> Answer:
    """Parse a response."""
    response = HTTPResponse(_Bytes(data), method=method)  # type: ignore[arg-type] # has all it uses
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


@asynccontextmanager
async def serving(
    handler: Handler = echo,
    access: WebAccess = OPEN,
    limits: Limits = LIMITS,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Served]:
    """Serve on a Unix socket."""
    with tempfile.TemporaryDirectory() as directory:  # pytest's names are too long for sockets
        path = Path(directory, "socket")
        opened = open_listener(f"unix:{path}", "page.listen")
        server = HttpServer(handler, access, limits=limits)
        server.listen(opened.socket)
        try:
            yield Served(server, str(path), tls)
        finally:
            await server.close()
            opened.close()
