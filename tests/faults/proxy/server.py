"""The proxy as a server: HTTPS before the authority, and plain HTTP to catch who would use it."""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from tests.faults.proxy.faults import Exchange, Response
from tests.faults.proxy.rules import Rules

from harness.certificates import write_self_signed
from harness.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

PASSED_ON = {"content-type", "location", "link", "replay-nonce", "retry-after", "cache-control"}
TAKEN_ALONG = {"content-type", "user-agent", "accept", "accept-language"}


class FaultProxy:
    """One proxy on loopback, in a thread of its own.

    Args:
        directory: Takes its HTTPS certificate and key.
        upstream: ``https://host:port`` of the authority.
        upstream_certificate: What to trust there, PEM.
        port: A free one unless given.

    Attributes:
        rules: What goes wrong; change it at any time.
        https_certificate: What clients have to trust to speak to it.
        ahead: By how much its clock (the header Date) differs from ours.
    """

    def __init__(
        self, directory: Path, *, upstream: str, upstream_certificate: Path, port: int | None = None
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.rules = Rules()
        self.port = port or free_port()
        self.insecure_port = free_port()
        self.https_certificate = directory / "certificate.pem"
        self._private_key = directory / "privkey.pem"
        self._upstream = upstream.rstrip("/")
        self._upstream_certificate = upstream_certificate
        self.ahead = timedelta(0)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._stop = asyncio.Event()

    @property
    def base(self) -> str:
        """Its URL."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def insecure_base(self) -> str:
        """Its URL without TLS, which no CA should have."""
        return f"http://127.0.0.1:{self.insecure_port}"

    @property
    def directory_url(self) -> str:
        """The ACME directory (of Pebble) as clients see it."""
        return f"{self.base}/dir"

    def start(self) -> Self:
        """Start it and wait until it listens."""
        if not self.https_certificate.exists():
            write_self_signed(
                self.https_certificate, self._private_key, ["127.0.0.1", "localhost"], days=36_500
            )
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def stop(self) -> None:
        """Stop it and close all connections."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001 - start() raises it
            self._failure = error
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.https_certificate, self._private_key)
        application = web.Application(client_max_size=1 << 20)
        application.cleanup_ctx.append(self._connect)
        application.on_response_prepare.append(self._tell_the_time)
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=context).start()
            await web.TCPSite(runner, "127.0.0.1", self.insecure_port).start()
            self._ready.set()
            await self._stop.wait()
        finally:
            await runner.cleanup()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _connect(self, application: web.Application) -> AsyncIterator[None]:
        context = ssl.create_default_context(cafile=self._upstream_certificate)
        # Every request a connection of its own: the authority is restarted under us.
        connector = aiohttp.TCPConnector(ssl=context, force_close=True)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            application[SESSION] = session
            yield

    async def _tell_the_time(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = format_datetime(datetime.now(UTC) + self.ahead, usegmt=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        fault, _ = self.rules.judge(request.method, request.path, body, secure=request.secure)

        async def forward() -> Response:
            return await self._ask(request, body)

        exchange = Exchange(request, forward, self.insecure_base)
        if fault is not None:
            with suppress(ConnectionError):
                return await fault(exchange)
            raise asyncio.CancelledError
        return await exchange.send(await forward())

    async def _ask(self, request: web.Request, body: bytes) -> Response:
        """Ask the authority in the client's name, as if it had been reached directly.

        A request over plain HTTP is asked under the secure name: signed URLs have that one.
        """
        headers = {
            name: value for name, value in request.headers.items() if name.lower() in TAKEN_ALONG
        }
        headers["Host"] = f"127.0.0.1:{self.port}"
        session = request.app[SESSION]
        try:
            async with session.request(
                request.method,
                self._upstream + request.raw_path,
                headers=headers,
                data=body or None,
                allow_redirects=False,
            ) as answer:
                kept = {
                    name: value
                    for name, value in answer.headers.items()
                    if name.lower() in PASSED_ON
                }
                links = answer.headers.getall("Link", [])
                if links:
                    kept["Link"] = ", ".join(links)
                return Response(answer.status, kept, await answer.read())
        except aiohttp.ClientError as error:
            return Response(502, {"Content-Type": "text/plain"}, str(error).encode())


SESSION = web.AppKey("session", aiohttp.ClientSession)
