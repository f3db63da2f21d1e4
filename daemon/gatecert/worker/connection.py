"""The worker's end of the connection to the core; its log records go the same way.

Threads share it. A core that has ended is noticed when the connection is read, and the worker then
ends at once, as the core has: whatever it was doing resumes from the disk.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final

from gatecert.report import journal
from gatecert.supervision.messages import LineReader, Message, Record, Step, decode, encode

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from gatecert.model import Message as StepMessage
    from gatecert.model import Stage

logger = logging.getLogger(__name__)

CHUNK: Final = 1 << 16  # bytes read at once
CORE_ENDED: Final = 1  # exit code
_PLAIN: Final = (str, int, float, type(None))


class Connection:
    """Messages from and to the core.

    Args:
        core: The connected socket.
    """

    def __init__(self, core: socket.socket) -> None:
        self._core = core
        self._reader = LineReader()
        self._sending = threading.Lock()

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


class RecordSender(logging.Handler):
    """Sends log records to the core, which writes them with its own.

    Args:
        connection: The connection to the core.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record."""
        args = record.args if isinstance(record.args, tuple) else ()
        exception = self._formatter.formatException(record.exc_info) if record.exc_info else ""
        self._connection.send(
            Record(
                name=record.name,
                levelno=record.levelno,
                msg=str(record.msg),
                args=[_plain(each) for each in args],
                pathname=record.pathname,
                lineno=record.lineno,
                funcName=record.funcName or "",
                created=record.created,
                exc_text=exception,
                fields={key: _plain(each) for key, each in journal.extra_fields(record).items()},
            )
        )


def _plain(value: object) -> Any:  # noqa: ANN401 - what JSON has
    """Return a value that JSON has and that is formatted as the given one."""
    if isinstance(value, bool) or type(value) in _PLAIN:
        return value
    if isinstance(value, int):  # an enumeration, for %d and %s
        return int(value)
    return float(value) if isinstance(value, float) else str(value)
