"""Waiting for something to come true, and never for longer than said."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")


class WaitedTooLongError(AssertionError):
    """Something did not come true in time."""


def wait_until(
    attempt: Callable[[], Value | None],
    what: str,
    *,
    seconds: float = 10.0,
    interval: float = 0.02,
    explain: Callable[[], str] = str,
) -> Value:
    """Call ``attempt`` until it returns something true, and return that.

    Args:
        attempt: Must not block; exceptions pass through.
        what: What is waited for, in words, for the error.
        seconds: How long at most.
        interval: Seconds between two attempts.
        explain: Called for the error only: what is known about why it did not happen.

    Raises:
        WaitedTooLongError: It did not happen.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = attempt()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise WaitedTooLongError(f"waited {seconds:g} s for {what}\n{explain()}".rstrip())
        time.sleep(interval)
