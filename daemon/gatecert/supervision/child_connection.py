"""The end of a worker, or of the follower, of its connection to the core.

Threads share it. A core that has ended is noticed when the connection is read, and the process then
ends at once, as the core has: whatever it was doing resumes from the disk.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Final

from gatecert.supervision.messages import LineReader, Message, Step, decode, encode

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from gatecert.model import Message as StepMessage
    from gatecert.model import Stage

logger = logging.getLogger(__name__)

CHUNK: Final = 1 << 16  # bytes read at once
CORE_ENDED: Final = 1  # exit code


class Connection:
    """Messages from and to the core.

    Args:
        core: The connected socket.
    """

    def __init__(self, core: socket.socket) -> None:
        self._core = core
        self._reader = LineReader()
        self._sending = threading.Lock()

    def fileno(self) -> int:
        """Return the descriptor, which is readable once there is a message."""
        return self._core.fileno()

    def send(self, message: Message) -> None:
        """Send a message; without a core, the process ends."""
        data = encode(message)
        with self._sending:
            try:
                self._core.sendall(data)
            except OSError:
                os._exit(CORE_ENDED)

    def messages(self) -> Iterator[Message]:
        """Yield what the core sends; without a core, the process ends."""
        while True:
            yield from self.receive()

    def receive(self) -> Iterator[Message]:
        """Wait until the core sends something, and yield it; without a core, the process ends."""
        try:
            data = self._core.recv(CHUNK)
        except OSError:
            data = b""
        if not data:
            os._exit(CORE_ENDED)
        for line in self._reader.feed(data):
            yield decode(line)

    def progress(self, gateway: str, stage: Stage, message: StepMessage) -> None:
        """Report progress of a pass; what it waits for is only logged, at DEBUG."""
        if isinstance(message, str):
            self.send(Step(gateway, stage, message))
        else:
            logger.debug("%s gateway=%s %s", stage, gateway, message)
