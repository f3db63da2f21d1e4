"""The bytes of one connection, over a pair of sockets."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from gatecert.monitoring.socket_channel import RECEIVED, Channel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MUCH = b"x" * (4 << 20)


def with_pair(use: Callable[[Channel, socket.socket], Awaitable[None]]) -> None:
    async def run() -> None:
        near, far = socket.socketpair()
        far.setblocking(False)  # noqa: FBT003 - positional only
        channel = Channel()
        assert not channel.connected
        await asyncio.get_running_loop().connect_accepted_socket(lambda: channel, near)
        assert channel.connected
        try:
            await use(channel, far)
        finally:
            channel.abort()
            far.close()
            await asyncio.sleep(0)

    asyncio.run(run())


async def drain(far: socket.socket) -> int:
    count = 0
    while data := await asyncio.get_running_loop().sock_recv(far, 1 << 20):
        count += len(data)
    return count


def test_what_is_received_is_bounded_until_it_is_read() -> None:
    async def use(channel: Channel, far: socket.socket) -> None:
        sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(far, MUCH))
        await asyncio.sleep(0.05)
        assert not sending.done()
        received = 0
        while received < len(MUCH):
            data = await channel.read()
            assert len(data) < 2 * RECEIVED
            received += len(data)
        await sending

    with_pair(use)


def test_the_end_is_read_as_nothing_and_a_response_can_follow() -> None:
    async def use(channel: Channel, far: socket.socket) -> None:
        far.send(b"question")
        far.shutdown(socket.SHUT_WR)
        assert await channel.read() == b"question"
        assert await channel.read() == b""
        await channel.write(b"answer")
        assert far.recv(100) == b"answer"

    with_pair(use)


def test_writing_waits_for_the_client() -> None:
    async def use(channel: Channel, far: socket.socket) -> None:
        writing = asyncio.ensure_future(channel.write(MUCH))
        await asyncio.sleep(0.05)
        assert not writing.done()
        reading = asyncio.ensure_future(drain(far))
        await writing
        await channel.close()
        assert await reading == len(MUCH)

    with_pair(use)


def test_writing_to_a_client_that_has_left_fails() -> None:
    async def use(channel: Channel, far: socket.socket) -> None:
        writing = asyncio.ensure_future(channel.write(MUCH))
        await asyncio.sleep(0.05)
        far.close()
        with pytest.raises(ConnectionResetError):
            await writing
        with pytest.raises(ConnectionResetError):
            await channel.write(b"more")

    with_pair(use)


@pytest.mark.parametrize("most", [100, 1 << 20])
def test_lingering_ends(most: int) -> None:
    async def use(channel: Channel, far: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        far.send(b"x" * 1000)
        await channel.linger(0.2, most)
        assert far.recv(100) == b""  # the response has ended
        assert loop.time() - start < 1

    with_pair(use)


def test_the_end_is_noticed_without_reading() -> None:
    async def use(channel: Channel, far: socket.socket) -> None:
        waiting = asyncio.ensure_future(channel.ended())
        await asyncio.sleep(0.02)
        assert not waiting.done()
        far.close()
        await waiting

    with_pair(use)
