"""The HTTP server on a Unix socket, with every kind of client."""

from __future__ import annotations

import asyncio
import base64
import gzip
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import bcrypt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.web_clients import GET, LAST_GET, answer, echo, serving

from gatecert.model import WebAccess
from gatecert.monitoring.exchange import Request, Response
from gatecert.monitoring.http_connection import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.fakes.web_clients import Answer, Served

    from gatecert.monitoring.exchange import Handler

QUICK = Limits(request_seconds=0.3, idle_seconds=0.3, part_seconds=0.3)
PAGE = b"<p>a gateway</p>\n" * 10_000
LARGE = b"gatecert_metric 1\n" * 300_000  # 5 MB


def answers(
    ask: Callable[[Served], Awaitable[Answer]],
    handler: Handler = echo,
    access: WebAccess = WebAccess(),  # noqa: B008 - frozen
    limits: Limits = QUICK,
) -> Answer:
    async def run() -> Answer:
        async with serving(handler, access, limits) as served:
            return await ask(served)

    return asyncio.run(run())


# --------------------------------------------------------------------- responses


def test_a_response_has_the_security_headers_and_no_name_of_a_server() -> None:
    found = answers(lambda served: served.get("/a%20b?x=1&x=2&y=%3C"))
    assert found.status == 200
    assert found.body == b"/a b {'x': '2', 'y': '<'}"
    assert found.headers.keys() == {
        "cache-control",
        "connection",
        "content-length",
        "content-type",
        "date",
        "referrer-policy",
        "x-content-type-options",
    }
    assert found.headers["cache-control"] == "no-store"
    assert found.headers["content-type"] == "text/plain; charset=utf-8"


def test_headers_of_the_response_and_the_web_configuration_are_sent() -> None:
    access = WebAccess(headers={"Strict-Transport-Security": "max-age=1"})
    found = answers(
        lambda served: served.get(),
        lambda _: Response(headers={"Content-Security-Policy": "default-src 'none'"}),
        access,
    )
    assert found.headers["strict-transport-security"] == "max-age=1"
    assert found.headers["content-security-policy"] == "default-src 'none'"


def test_each_header_is_sent_once_whatever_its_case() -> None:
    async def run() -> bytes:
        async with serving(lambda _: Response(headers={"Cache-Control": "max-age=1"})) as served:
            return await served.raw(LAST_GET)

    head = asyncio.run(run()).lower()
    assert head.count(b"cache-control:") == 1
    assert b"cache-control: max-age=1\r\n" in head


def test_head_has_the_headers_of_get_and_no_body() -> None:
    found = answers(lambda served: served.get(method="HEAD"), lambda _: Response(PAGE))
    assert found.headers["content-length"] == str(len(PAGE))
    assert not found.body


@pytest.mark.parametrize("body", [PAGE, LARGE])
def test_long_bodies_are_compressed_for_those_who_ask(body: bytes) -> None:
    found = answers(lambda served: served.get(accept_encoding="gzip"), lambda _: Response(body))
    assert found.headers["content-encoding"] == "gzip"
    assert found.headers["vary"] == "accept-encoding"
    assert len(found.body) < len(body) / 10
    assert gzip.decompress(found.body) == body


def test_bodies_are_sent_as_they_are_to_others() -> None:
    found = answers(lambda served: served.get(), lambda _: Response(LARGE))
    assert "content-encoding" not in found.headers
    assert found.body == LARGE


def test_short_bodies_are_not_compressed() -> None:
    found = answers(lambda served: served.get(accept_encoding="gzip"))
    assert "content-encoding" not in found.headers


def test_a_client_of_http_1_0_gets_the_end_of_the_connection() -> None:
    request = b"GET /a HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n"
    found = answers(lambda served: served.ask(request), lambda _: Response(LARGE))
    assert gzip.decompress(found.body) == LARGE


def test_the_handler_sees_headers_but_no_password() -> None:
    seen: list[Request] = []

    def handler(request: Request) -> Response:
        seen.append(request)
        return Response()

    answers(lambda served: served.get(authorization="Basic eDp5", accept="text/plain"), handler)
    assert seen[0].headers["accept"] == "text/plain"
    assert "authorization" not in seen[0].headers


def test_a_broken_handler_is_logged_and_the_server_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def handler(request: Request) -> Response:
        if request.path != "/":
            raise ZeroDivisionError
        return Response(b"good")

    async def run() -> tuple[Answer, Answer]:
        async with serving(handler) as served:
            return await served.get("/a%0Ab"), await served.get()

    broken, good = asyncio.run(run())
    assert (broken.status, broken.body) == (500, b"internal error\n")
    assert good.body == b"good"
    (record,) = caplog.records
    assert record.getMessage() == "request not answered path=/a b"
    assert record.exc_info is not None


def test_a_malformed_header_of_a_handler_ends_one_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> tuple[bytes, bytes]:
        bad = Response(headers={"x": "a\r\nb: c"})
        async with serving(lambda request: bad if request.path == "/" else Response()) as served:
            return await served.raw(LAST_GET), await served.raw(LAST_GET.replace(b"/ ", b"/a ", 1))

    bad, good = asyncio.run(run())
    assert not bad
    assert good.startswith(b"HTTP/1.1 200 OK\r\n")
    assert caplog.messages == ["connection ended by an unexpected error"]


# --------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n", 405),
        (b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 413),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 413),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET //[ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /?" + b"&".join([b"a=b"] * 200) + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"\0" * 100, 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /" + b"a" * 40_000, 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 17_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 9_000, 431),
    ],
)
def test_a_request_that_is_refused(request_bytes: bytes, status: int) -> None:
    found = answers(lambda served: served.ask(request_bytes))
    assert found.status == status
    assert found.headers["connection"] == "close"
    assert (found.headers.get("allow") == "GET, HEAD") == (status == 405)


def test_an_absolute_target_is_understood() -> None:
    request = b"GET http://host:1/a?b=c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert answers(lambda served: served.ask(request)).body == b"/a {'b': 'c'}"


def test_a_request_may_arrive_byte_by_byte_within_its_time() -> None:
    pieces = [bytes([each]) for each in LAST_GET]
    assert answers(lambda served: served.ask(*pieces, pause=0.002)).status == 200


def test_a_request_that_takes_too_long_is_refused() -> None:
    pieces = [LAST_GET[start : start + 8] for start in range(0, 48, 8)]
    assert answers(lambda served: served.ask(*pieces, pause=0.1)).status == 408


def test_a_client_that_sends_nothing_is_closed_without_a_word() -> None:
    async def run() -> tuple[bytes, float]:
        async with serving(limits=QUICK) as served:
            loop = asyncio.get_running_loop()
            start = loop.time()
            return await served.raw(), loop.time() - start

    data, seconds = asyncio.run(run())
    assert not data
    assert 0.2 < seconds < 2


def test_a_connection_is_used_again_until_it_is_idle() -> None:
    async def run() -> bytes:
        async with serving(limits=QUICK) as served:
            return await served.raw(GET, GET, GET + GET)

    assert asyncio.run(run()).count(b"HTTP/1.1 200 OK\r\n") == 4


def test_a_client_may_end_its_side_first() -> None:
    async def run() -> bytes:
        async with serving() as served:
            reader, writer = await served.connect()
            writer.write(GET)
            writer.write_eof()
            try:
                return await reader.read()
            finally:
                writer.close()

    assert asyncio.run(run()).startswith(b"HTTP/1.1 200 OK\r\n")


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=200),
            st.sampled_from(
                [GET, b"GET ", b"/ HTTP/1.1\r\n", b"Host: a\r\n", b"\r\n", b"\r\n\r\n", b"\n", b" "]
            ),
        ),
        max_size=8,
    )
)
def test_nothing_that_is_received_breaks_the_server(pieces: list[bytes]) -> None:
    async def run() -> Answer:
        async with serving(limits=Limits(request_seconds=0.02, idle_seconds=0.02)) as served:
            data = await served.raw(*pieces)
            assert not data or data.startswith(b"HTTP/1.1 ")
            return await served.get()

    assert asyncio.run(run()).status == 200


# --------------------------------------------------------------------- clients that cost


def test_clients_that_only_connect_keep_nobody_out() -> None:
    async def run() -> tuple[Answer, int]:
        async with serving(limits=Limits(connections=20)) as served:
            idle = [await served.connect() for _ in range(50)]
            found = await served.get()
            closed = 0
            for reader, writer in idle:
                try:
                    async with asyncio.timeout(0.01):
                        closed += await reader.read() == b""
                except TimeoutError:
                    pass
                writer.close()
            return found, closed

    found, closed = asyncio.run(run())
    assert found.status == 200
    assert closed == 31  # 19 are left beside the one that asked


def test_a_client_that_never_reads_is_cut_off_in_time() -> None:
    async def run() -> tuple[Answer, bytes]:
        async with serving(lambda _: Response(LARGE), limits=QUICK) as served:
            reader, writer = await served.connect()
            transport = cast("asyncio.Transport", writer.transport)
            transport.pause_reading()
            writer.write(GET)
            await asyncio.sleep(1)
            other = await served.get()
            transport.resume_reading()
            rest = b""
            with suppress(ConnectionError):
                rest = await reader.read()
            writer.close()
            return other, rest

    other, rest = asyncio.run(run())
    assert other.body == LARGE
    assert len(rest) < len(LARGE)


class Body(bytes):
    """A body that is released when nothing refers to it any more."""

    released = 0

    def __del__(self) -> None:
        Body.released += 1


def test_clients_that_never_read_hold_no_more_than_the_bound() -> None:
    asked: list[str] = []
    held: list[int] = []
    everybody_asked = asyncio.Event()

    def handler(request: Request) -> Response:
        held.append(len(asked) - Body.released)
        asked.append(request.path)
        if len(asked) == 10:
            everybody_asked.set()
        return Response(Body(1 << 20))

    async def run() -> set[str]:
        Body.released = 0
        whole = set()
        async with serving(handler, limits=Limits(body_bytes=4 << 20)) as served:
            clients = {f"/{number}": await served.connect() for number in range(10)}
            for path, (_, writer) in clients.items():
                cast("asyncio.Transport", writer.transport).pause_reading()
                writer.write(LAST_GET.replace(b"/", path.encode(), 1))
            await asyncio.wait_for(everybody_asked.wait(), 20)
            for path, (reader, writer) in clients.items():
                cast("asyncio.Transport", writer.transport).resume_reading()
                data = b""
                with suppress(ConnectionError):
                    data = await reader.read()
                if len(data) > 1 << 20:
                    whole.add(path)
                writer.close()
        return whole

    assert asyncio.run(run()) == set(asked[-4:])  # the others are cut off
    assert max(held) == 4


def test_a_body_that_many_clients_get_counts_once_and_one_above_the_bound_is_sent() -> None:
    async def run() -> list[Answer]:
        limits = Limits(body_bytes=len(LARGE) - 1)
        async with serving(lambda _: Response(LARGE), limits=limits) as served:
            return await asyncio.gather(*(served.get() for _ in range(5)))

    assert [each.body == LARGE for each in asyncio.run(run())] == [True] * 5


def test_a_client_that_leaves_while_it_is_answered_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> Answer:
        async with serving(lambda _: Response(LARGE)) as served:
            for _ in range(5):
                reader, writer = await served.connect()
                writer.write(GET)
                await reader.readexactly(100)
                writer.transport.abort()
            return await served.get()

    assert asyncio.run(run()).body == LARGE
    assert not caplog.records


# --------------------------------------------------------------------- streams


class Events:
    """Streams that count how many are open."""

    def __init__(self) -> None:
        self.open = 0
        self.news = asyncio.Event()

    async def stream(self) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            yield b"data: first\n\n"
            await self.news.wait()
            yield b"data: last\n\n"
        finally:
            self.open -= 1

    def __call__(self, request: Request) -> Response:
        if request.path != "/events":
            return Response()
        return Response(content_type="text/event-stream", stream=self.stream())


EVENTS = b"GET /events HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"


def test_a_stream_is_sent_as_it_comes_and_then_ends() -> None:
    async def run() -> tuple[bytes, Answer]:
        events = Events()
        async with serving(events, limits=QUICK) as served:
            reader, writer = await served.connect()
            writer.write(EVENTS)
            head = await reader.readuntil(b"data: first\n\n")
            await asyncio.sleep(0.5)  # longer than all limits of this server
            events.news.set()
            rest = await reader.read()
            writer.close()
            assert events.open == 0
            return head, answer(head + rest)

    head, found = asyncio.run(run())
    assert b"content-encoding" not in head
    assert found.headers["content-type"] == "text/event-stream"
    assert found.body == b"data: first\n\ndata: last\n\n"


def test_a_stream_ends_when_its_client_leaves() -> None:
    async def run() -> int:
        events = Events()
        async with serving(events) as served:
            reader, writer = await served.connect()
            writer.write(EVENTS)
            await reader.readuntil(b"data: first\n\n")
            assert events.open == 1
            writer.close()
            await asyncio.sleep(0.1)
            return events.open

    assert asyncio.run(run()) == 0


def test_a_server_that_closes_ends_its_streams() -> None:
    async def run() -> int:
        events = Events()
        async with serving(events) as served:
            reader, writer = await served.connect()
            writer.write(EVENTS)
            await reader.readuntil(b"data: first\n\n")
        writer.close()
        return events.open

    assert asyncio.run(run()) == 0


def test_streams_are_few() -> None:
    async def run() -> tuple[Answer, Answer]:
        events = Events()
        async with serving(events, limits=Limits(streams=3)) as served:
            clients = [await served.connect() for _ in range(3)]
            for reader, writer in clients:
                writer.write(EVENTS)
                await reader.readuntil(b"data: first\n\n")
            refused = await served.get("/events")
            clients[0][1].close()
            await asyncio.sleep(0.1)
            events.news.set()
            accepted = await served.get("/events")
            for _, writer in clients:
                writer.close()
            return refused, accepted

    refused, accepted = asyncio.run(run())
    assert refused.status == 503
    assert refused.headers["retry-after"] == "30"
    assert accepted.status == 200


def test_head_of_a_stream_does_not_stream() -> None:
    found = answers(lambda served: served.get("/events", "HEAD"), Events())
    assert found.status == 200
    assert not found.body


# --------------------------------------------------------------------- passwords


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def access_of(**users: str) -> WebAccess:
    return WebAccess(
        users={
            name: bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
            for name, password in users.items()
        }
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": basic("alice", "wrong")}, 401),
        ({"authorization": basic("alice", "right")}, 200),
    ],
)
def test_a_password_is_needed(headers: dict[str, str], status: int) -> None:
    found = answers(lambda served: served.get(**headers), access=access_of(alice="right"))
    assert found.status == status
    assert ("www-authenticate" in found.headers) == (status == 401)


def test_without_a_password_nothing_is_told_not_even_a_wrong_method() -> None:
    found = answers(lambda served: served.get(method="POST"), access=access_of(alice="right"))
    assert found.status == 401


def test_guesses_wait_in_a_short_line_and_a_known_password_does_not() -> None:
    right, wrong = basic("alice", "right"), basic("alice", "wrong")
    hashed = bcrypt.hashpw(b"right", bcrypt.gensalt(8)).decode()

    async def run() -> tuple[list[int], Answer]:
        async with serving(access=WebAccess(users={"alice": hashed})) as served:
            assert (await served.get(authorization=right)).status == 200
            guesses = [asyncio.ensure_future(served.get(authorization=wrong)) for _ in range(30)]
            await asyncio.sleep(0.05)
            known = await served.get(authorization=right)
            assert not all(each.done() for each in guesses)
            return [each.status for each in await asyncio.gather(*guesses)], known

    statuses, known = asyncio.run(run())
    assert known.status == 200
    assert set(statuses) == {401, 503}
