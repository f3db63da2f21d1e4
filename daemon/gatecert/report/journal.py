"""Log records as journal entries with fields (systemd's native protocol, one datagram per entry).

``key=value`` in a message becomes the field ``GATECERT_KEY``, so that
``journalctl GATECERT_GATEWAY=boston`` finds everything about a gateway. The keys come from the
message's template alone, so text from a CA or a server cannot forge a field. A value cannot forge a
line either, because its length precedes it.

Entries about an outcome or a code have a MESSAGE_ID, by which ``journalctl -x`` explains them.

https://systemd.io/JOURNAL_NATIVE_PROTOCOL
"""

from __future__ import annotations

import logging
import re
import socket
import struct
from typing import TYPE_CHECKING, Final

from gatecert.errors import clean
from gatecert.report.message_ids import message_id_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SOCKET: Final = "/run/systemd/journal/socket"
PREFIX: Final = "GATECERT_"
LONGEST_VALUE: Final = 2048  # characters of a field

# printf conversions of logging, each with the key in front of it, if any
_CONVERSION: Final = re.compile(
    r"(?:\b(?P<key>[a-z][a-z0-9_]*)=)?%(?P<kind>[-#0 +]*[\d.]*[a-zA-Z%])"
)


class JournalHandler(logging.Handler):
    """Sends records to the journal, or to another handler if that fails.

    Args:
        priorities: syslog(3) priorities by logging level.
        fallback: Handles records that are too large, and all if there is no journal.
        address: The journal's socket.
    """

    def __init__(
        self, priorities: Mapping[int, int], fallback: logging.Handler, address: str = SOCKET
    ) -> None:
        super().__init__()
        self._priorities = priorities
        self._fallback = fallback
        self._address = address

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record."""
        try:
            entry = b"".join(_encoded(name, value) for name, value in self._fields(record))
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
                journal.sendto(entry, self._address)
        except Exception:  # noqa: BLE001 - a log must not end the daemon
            self._fallback.handle(record)

    def _fields(self, record: logging.LogRecord) -> Iterator[tuple[str, str]]:
        yield "MESSAGE", self.format(record)
        yield "PRIORITY", str(self._priorities.get(record.levelno, 6))
        yield "SYSLOG_IDENTIFIER", "gatecert"
        yield "CODE_FILE", record.pathname
        yield "CODE_LINE", str(record.lineno)
        yield "CODE_FUNC", record.funcName or ""
        yield f"{PREFIX}LOGGER", record.name
        found = fields(record)
        message_id = message_id_of(found)
        if message_id is not None:
            yield "MESSAGE_ID", message_id
        for key, value in found.items():
            yield f"{PREFIX}{key.upper()}", clean(str(value), LONGEST_VALUE)


def fields(record: logging.LogRecord) -> dict[str, object]:
    """Return the ``key=value`` fields of a record's template and of ``extra={"fields": …}``."""
    found: dict[str, object] = {}
    arguments = iter(record.args if isinstance(record.args, tuple) else ())
    for conversion in _CONVERSION.finditer(str(record.msg)):
        if conversion["kind"] == "%":
            continue
        value = next(arguments, None)
        if conversion["key"]:
            found[conversion["key"]] = value
    found.update(extra_fields(record))
    return {key: value for key, value in found.items() if value not in {None, ""}}


def extra_fields(record: logging.LogRecord) -> dict[str, object]:
    """Return the fields of ``extra={"fields": …}``."""
    found: dict[str, object] = getattr(record, "fields", {})
    return found


def _encoded(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "replace")
    return name.encode("ascii") + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
