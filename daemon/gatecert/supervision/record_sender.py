"""Log records of another process, sent to the core, which writes them with its own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from gatecert.report import journal
from gatecert.supervision.messages import Record

if TYPE_CHECKING:
    from gatecert.supervision.messages import Message

_PLAIN: Final = (str, int, float, type(None))


class Sender(Protocol):
    """The connection to the core."""

    def send(self, message: Message) -> None:
        """Send a message."""
        ...


class RecordSender(logging.Handler):
    """Sends log records to the core.

    Args:
        connection: The connection to the core.
    """

    def __init__(self, connection: Sender) -> None:
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
