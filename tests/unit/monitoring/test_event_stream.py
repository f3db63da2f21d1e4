"""Events of the status page: one for many changes, a comment now and then, none is missed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gatecert.monitoring.event_stream import changes
from gatecert.monitoring.overview import Overview

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RETRY = b"retry: 3000\n\n"


def event(number: int) -> bytes:
    return b"id: %d\nevent: changed\ndata: %d\n\n" % (number, number)


async def take(stream: AsyncIterator[bytes], count: int) -> list[bytes]:
    return [await anext(stream) for _ in range(count)]


def test_a_client_that_is_up_to_date_waits_for_the_next_change() -> None:
    async def received() -> list[bytes]:
        overview = Overview(number=7)
        stream = changes(overview, "7")
        first = await take(stream, 1)
        second = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        assert not second.done()
        overview.changed()
        return [*first, await second]

    assert asyncio.run(received()) == [RETRY, event(8)]


def test_a_client_that_missed_a_change_is_told_at_once() -> None:
    async def received(seen: str) -> list[bytes]:
        return await take(changes(Overview(number=7), seen), 2)

    assert asyncio.run(received("6")) == [RETRY, event(7)]
    assert asyncio.run(received("900")) == [RETRY, event(7)]  # of the process before this one
    assert asyncio.run(received("<script>")) == [RETRY, event(7)]


def test_many_changes_are_one_event() -> None:
    async def received() -> list[bytes]:
        overview = Overview()
        stream = changes(overview, "", least_distance=0.02)
        found = await take(stream, 1)
        overview.changed()
        found += await take(stream, 1)
        for _ in range(50):
            overview.changed()
        return [*found, *await take(stream, 1)]

    assert asyncio.run(received()) == [RETRY, event(1), event(51)]


def test_two_events_have_a_distance() -> None:
    async def duration() -> float:
        overview = Overview()
        stream = changes(overview, "", least_distance=0.1)
        await take(stream, 1)
        begin = asyncio.get_running_loop().time()
        for _ in range(3):
            overview.changed()
            await take(stream, 1)
        return asyncio.get_running_loop().time() - begin

    assert asyncio.run(duration()) >= 0.2


def test_a_comment_keeps_a_silent_connection_alive() -> None:
    async def received() -> list[bytes]:
        return await take(changes(Overview(), "", keep_alive=0.01), 3)

    assert asyncio.run(received()) == [RETRY, b": still here\n\n", b": still here\n\n"]
