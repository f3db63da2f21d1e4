"""Spread the looks of many gateways over their interval. Pure.

Each gateway has its own instants: those that leave the same remainder, which follows from its name,
when divided by the interval. So the looks of a fleet are spread evenly whatever happened before,
and neither a restart nor a look out of turn moves the following ones. If one interval is a multiple
of another, the instants of the longer one are instants of the shorter one as well, so that one pass
serves both.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

SHORTEST_SPREAD = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def next_instant(gateway: str, after: datetime, interval: timedelta) -> datetime:
    """Return the gateway's first instant later than ``after``, at most ``interval`` later.

    An interval under a minute is not spread: the instant is exactly ``interval`` later.

    Args:
        gateway: Its name.
        after: The last look, aware UTC.
        interval: The longest time between two looks, positive.
    """
    if interval < SHORTEST_SPREAD:
        return after + interval
    wait = (EPOCH + _remainder(gateway) - after) % interval
    return after + (wait or interval)


def _remainder(gateway: str) -> timedelta:
    """Return the distance of one of the gateway's instants from the epoch."""
    digest = hashlib.sha256(gateway.encode()).digest()
    return timedelta(microseconds=int.from_bytes(digest[:7]))
