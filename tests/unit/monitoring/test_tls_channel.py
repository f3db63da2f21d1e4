"""TLS of the server with real clients on Unix sockets."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest
from tests.fakes.pki import Pki
from tests.fakes.web_clients import GET, LAST_GET, answer, serving

from gatecert.model import WebAccess
from gatecert.monitoring.exchange import Request, Response
from gatecert.monitoring.http_connection import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PKI = Pki()
PAIR = PKI.issue("a", names=("a",))
LARGE = b"gatecert_metric 1\n" * 300_000  # 5 MB
QUICK = Limits(request_seconds=0.3, idle_seconds=0.3, part_seconds=0.3)


@pytest.fixture
def access(tmp_path: Path) -> WebAccess:
    (tmp_path / "cert").write_bytes(PAIR.pem)
    (tmp_path / "key").write_bytes(PAIR.key_pem)
    return WebAccess(str(tmp_path / "cert"), str(tmp_path / "key"))


def client() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the certificate is of no CA, and its time may be over
    return context


def large(request: Request) -> Response:
    return Response(LARGE if request.path == "/" else b"small")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_and_large_responses(access: WebAccess, version: ssl.TLSVersion) -> None:
    context = client()
    context.minimum_version = context.maximum_version = version

    async def run() -> bytes:
        async with serving(large, access, tls=context) as served:
            return await served.raw(GET, LAST_GET)

    data = asyncio.run(run())
    assert data.count(LARGE) == 2


def test_the_end_of_a_response_without_length_is_authentic(access: WebAccess) -> None:
    """The end of the connection is the end of the response only after ``close_notify``."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    async def run() -> bytes:
        async with serving(lambda _: Response(stream=parts()), access, tls=client()) as served:
            return await served.raw(b"GET / HTTP/1.0\r\n\r\n")

    assert answer(asyncio.run(run())).body == b"one two"


def test_versions_that_are_not_allowed(access: WebAccess) -> None:
    context = client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    newer = WebAccess(access.certificate, access.key, minimum_version="TLS13")

    async def run() -> None:
        async with serving(large, newer, tls=context) as served:
            with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):  # the alert arrives
                await served.raw(LAST_GET)

    asyncio.run(run())


@pytest.mark.parametrize("hello", [b"", b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_handshake_has_its_time(access: WebAccess, hello: bytes) -> None:
    async def run() -> float:
        async with serving(large, access, QUICK) as served:
            loop = asyncio.get_running_loop()
            start = loop.time()
            await served.raw(hello)
            return loop.time() - start

    assert asyncio.run(run()) < 2


def test_garbage_after_the_handshake_ends_one_connection(
    access: WebAccess, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> bytes:
        async with serving(large, access, tls=client()) as served:
            for _ in range(3):
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                tls = client().wrap_bio(incoming, outgoing)
                reader, writer = await asyncio.open_unix_connection(served.path)
                while True:
                    try:
                        tls.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        writer.write(outgoing.read())
                        incoming.write(await reader.read(65_536))
                writer.write(outgoing.read() + b"\x17\x03\x03\x00\x20" + b"x" * 32)
                await reader.read()
                writer.close()
            return await served.raw(LAST_GET.replace(b"/", b"/small", 1))

    assert asyncio.run(run()).endswith(b"small")
    assert not caplog.records


def test_a_stream_ends_when_its_client_leaves(access: WebAccess) -> None:
    ends: list[str] = []

    async def parts() -> AsyncIterator[bytes]:
        try:
            yield b"data: 1\n\n"
            await asyncio.sleep(60)
        finally:
            ends.append("closed")

    async def run() -> None:
        async with serving(lambda _: Response(stream=parts()), access, tls=client()) as served:
            reader, writer = await served.connect()
            writer.write(GET)
            await reader.readuntil(b"data: 1\n\n")
            writer.close()
            await asyncio.sleep(0.2)
            assert ends == ["closed"]

    asyncio.run(run())
