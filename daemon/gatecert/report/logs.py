"""Logs: for people on a terminal, for the journal under systemd, plain with a time elsewhere.

Under systemd each record is a journal entry with fields (``report.journal``). Where the journal's
socket cannot be reached, each line starts with its priority (sd-daemon(3), ``SD_INFO`` …) and
carries no time, since the journal adds it. Messages are a few words, then ``key=value`` fields. A
message never spans lines: what comes from outside cannot forge another entry.
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from typing import TextIO

from gatecert.report.terminal import has_colours

PRIORITIES = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[31;1m"}
RESET = "\x1b[0m"

# These log whole requests, signed payloads and what DNS providers answer at DEBUG.
TALKATIVE = (
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
    """A record on one line; the traceback of a bug follows, indented, on its own lines."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without anything in front."""
        text = " ".join(record.getMessage().splitlines())
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


class JournalLines(OneLine):
    """Every line with its priority in front."""

    def format(self, record: logging.LogRecord) -> str:
        """``<6>message`` for each line."""
        priority = PRIORITIES.get(record.levelno, 6)
        lines = super().format(record).splitlines()
        return "\n".join(f"<{priority}>{line}" for line in lines)


class TimedLines(OneLine):
    """Time and level in front; colours for a person.

    Args:
        colours: Whether warnings and errors stand out.
    """

    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self.colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """``2026-11-23T08:15:00Z INFO message``."""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = f"{time} {record.levelname:<7} {super().format(record)}"
        colour = COLOURS.get(record.levelno, "") if self.colours else ""
        return f"{colour}{text}{RESET}" if colour else text


def configure(level: int, stream: TextIO | None = None) -> None:
    """Send the logs of this process to ``stream`` (standard error by default)."""
    stream = stream or sys.stderr
    handler: logging.Handler = logging.StreamHandler(stream)
    if _is_journal(stream):
        from gatecert.report.journal import JournalHandler  # noqa: PLC0415 - elsewhere not needed

        handler.setFormatter(JournalLines())
        handler = JournalHandler(PRIORITIES, handler)
        handler.setFormatter(OneLine())
    else:
        handler.setFormatter(TimedLines(colours=has_colours(stream)))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _is_journal(stream: TextIO) -> bool:
    """Whether the stream is the one named by ``JOURNAL_STREAM`` (systemd.exec(5))."""
    expected = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return expected == f"{status.st_dev}:{status.st_ino}"
