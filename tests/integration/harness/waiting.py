"""Waiting for a condition, with a timeout."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")

PAUSE_SHARE = 4  # of the time that an attempt took
LONGEST_PAUSE = 1.0  # seconds, unless the interval is longer


class WaitedTooLongError(AssertionError):
    """A condition did not hold in time."""


def wait_until(
    attempt: Callable[[], Value | None],
    what: str,
    *,
    seconds: float = 10.0,
    interval: float = 0.02,
    explain: Callable[[], str] = str,
) -> Value:
    """Call ``attempt`` until it returns a true value, and return that.

    An attempt that takes long, such as a command, is repeated less often, so that waiting takes no
    processor from what is waited for.

    Args:
        attempt: Must not block; exceptions pass through.
        what: The condition in words, for the error.
        seconds: The timeout.
        interval: Seconds between two attempts, at least.
        explain: Called for the error only, to explain it.

    Raises:
        WaitedTooLongError: The timeout has passed.
    """
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        value = attempt()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise WaitedTooLongError(f"waited {seconds:g} s for {what}\n{explain()}".rstrip())
        effort = time.monotonic() - began
        time.sleep(max(interval, min(effort * PAUSE_SHARE, LONGEST_PAUSE)))
