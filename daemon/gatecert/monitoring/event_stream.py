"""Server-sent events that tell a status page to look again.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gatecert.monitoring.overview import Overview

RETRY: Final = 3_000  # milliseconds until a client connects again
LEAST_DISTANCE: Final = 2.0  # seconds between two events
KEEP_ALIVE: Final = 20.0  # seconds without an event, after which a comment is sent


async def changes(
    overview: Overview,
    seen: str,
    *,
    least_distance: float = LEAST_DISTANCE,
    keep_alive: float = KEEP_ALIVE,
) -> AsyncIterator[bytes]:
    """Yield an event ``changed`` after each change, and a comment now and then. Never ends.

    Args:
        overview: Where changes are noted.
        seen: The number that the client has seen last; empty if it does not know.
        least_distance: Seconds between two events; changes in between are one event.
        keep_alive: Seconds without an event, after which a comment shows that the client is there.
    """
    told = overview.number
    yield b"retry: %d\n\n" % RETRY
    if seen != str(told) and seen:
        yield _changed(told)
        await asyncio.sleep(least_distance)
    while True:
        try:
            async with asyncio.timeout(keep_alive):
                told = await overview.change_after(told)
        except TimeoutError:
            yield b": still here\n\n"
            continue
        yield _changed(told)
        await asyncio.sleep(least_distance)


def _changed(number: int) -> bytes:
    return b"id: %d\nevent: changed\ndata: %d\n\n" % (number, number)
