"""The start of a worker, the monitor or the follower.

The core's signals are not for them: service managers and terminals send them to every process of a
service, and the core decides what follows. SIGABRT writes where each thread is.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from typing import TYPE_CHECKING

from gatecert import container
from gatecert.system_calls import end_with_parent, keep_memory_private

if TYPE_CHECKING:
    from types import FrameType

IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def begin(connection: int) -> None:
    """Begin a process of the core, before anything else is imported.

    Args:
        connection: Descriptor of its connection to the core.
    """
    for number in IGNORED:
        # A handler, since children would inherit SIG_IGN.
        signal.signal(number, _ignore)
    container.in_container = container.is_container()
    os.read(connection, 1)  # `spawn` has opened what it reads of this process
    keep_memory_private()
    end_with_parent()
    faulthandler.enable()


def _ignore(number: int, frame: FrameType | None) -> None:
    """Leave it to the core."""
