"""Logs: coloured on a terminal, journal entries under systemd, lines with a time elsewhere.

Under systemd each record is a journal entry with fields (``report.journal``). If the journal's
socket cannot be reached, each line starts with its priority (sd-daemon(3), ``SD_INFO`` …) and has
no time, because the journal adds it. A message is a few words, then ``key=value`` fields. It never
spans lines, and the lines of a traceback are indented, so text from outside cannot forge an entry.
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from typing import TextIO

from gatecert.report.terminal import CleanStream, control, has_colours, one_line

PRIORITIES = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
COLOURS = {logging.WARNING: "[33m", logging.ERROR: "[31m", logging.CRITICAL: "[31;1m"}
RESET = "[0m"

# At DEBUG these log whole requests, signed payloads and the answers of DNS providers.
VERBOSE_LIBRARIES = (
    "acme",
    "urllib3",
    "josepy",
    "apscheduler",
    "requests",
    "charset_normalizer",
    "lexicon",
    "filelock",
)


class OneLine(logging.Formatter):
    """A record on one line; a traceback follows on indented lines."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without a prefix."""
        text = record.exc_text or ""  # of another process
        if record.exc_info:
            text = self.formatException(record.exc_info)
        return "\n  ".join(map(one_line, [record.getMessage(), *text.splitlines()]))


class JournalLines(OneLine):
    """Lines with their priority in front."""

    def format(self, record: logging.LogRecord) -> str:
        """Return ``<6>message`` for each line."""
        priority = PRIORITIES.get(record.levelno, 6)
        lines = super().format(record).split("\n")
        return "\n".join(f"<{priority}>{line}" for line in lines)


class TimedLines(OneLine):
    """Lines with time and level in front.

    Args:
        colours: Whether to colour warnings and errors.
    """

    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self.colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """Return ``2026-11-23T08:15:00Z INFO message``."""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = f"{time} {record.levelname:<7} {super().format(record)}"
        colour = COLOURS.get(record.levelno, "") if self.colours else ""
        return f"{control(colour)}{text}{control(RESET)}" if colour else text


def configure(level: int, stream: TextIO | None = None) -> None:
    """Send the logs of this process to ``stream`` (standard error by default)."""
    stream = CleanStream.around(stream or sys.stderr)
    handler: logging.Handler = logging.StreamHandler(stream)
    if _is_journal(stream):
        from gatecert.report.journal import JournalHandler  # noqa: PLC0415 - elsewhere not needed

        handler.setFormatter(JournalLines())
        handler = JournalHandler(PRIORITIES, handler)
        handler.setFormatter(OneLine())
    else:
        handler.setFormatter(TimedLines(colours=has_colours(stream)))
    send_to(handler, level)


def send_to(handler: logging.Handler, level: int) -> None:
    """Send the logs of this process to a handler."""
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in VERBOSE_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)


def _is_journal(stream: TextIO) -> bool:
    """Return whether ``JOURNAL_STREAM`` names the stream (systemd.exec(5))."""
    expected = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return expected == f"{status.st_dev}:{status.st_ino}"
