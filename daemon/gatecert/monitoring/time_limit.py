"""A limit of time for code of others, which may wait in places that know no deadline.

It uses SIGALRM, so it is for the main thread of the process that delivers one message.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SHORTEST: Final = 0.001  # seconds; zero would be no limit


class TooLateError(BaseException):
    """The time is up; no library takes it for an error of its own."""


@contextmanager
def at_most(seconds: float, again: float = 0.0) -> Iterator[None]:
    """Let the body take so many seconds.

    Args:
        seconds: How long it may take.
        again: How long what it does then, to tidy up, may take each time; zero for any time.

    Raises:
        TooLateError: It has taken them.
    """
    signal.signal(signal.SIGALRM, _too_late)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, SHORTEST), again)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _too_late(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - of a handler
    raise TooLateError
