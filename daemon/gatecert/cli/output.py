"""Standard output and standard error, robust against closed pipes, full disks and any encoding.

Nothing else prints, and nothing printed controls the terminal (``report.terminal``).
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from gatecert.report.terminal import CleanStream, one_line

if TYPE_CHECKING:
    from typing import TextIO


def prepare() -> None:
    """Make every character printable in any encoding; replace a closed stream by /dev/null."""
    sys.stdout = _prepared(sys.stdout)
    sys.stderr = _prepared(sys.stderr)


def _prepared(stream: TextIO | None) -> TextIO:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=CleanStream.errors)
    return CleanStream.around(stream) if stream else _null_stream()


def show_lines(*lines: str) -> None:
    """Write lines to standard output.

    Raises:
        OSError: They cannot be written.
    """
    show_text("\n".join(map(one_line, lines)))


def show_text(text: str) -> None:
    """Write text whose line feeds are the program's own to standard output, and end its line.

    Raises:
        OSError: It cannot be written.
    """
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def write_line(stream: TextIO, line: str) -> None:
    """Write a line; if that fails, drop it and everything after it."""
    write_text(stream, f"{one_line(line)}\n")


def write_text(stream: TextIO, text: str) -> None:
    """Write text; if that fails, drop it and everything after it."""
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):  # the pipe is closed, the disk is full
        silence(stream)


def write_error(line: str) -> None:
    """Write a line to standard error, with the program's name in front."""
    write_line(sys.stderr, f"gatecert: {line}")


def write_traceback() -> None:
    """Write the traceback of the exception that is being handled to standard error, indented."""
    for line in traceback.format_exc().splitlines():
        write_line(sys.stderr, f"  {line}")


def silence(stream: TextIO) -> None:
    """Redirect the rest of ``stream`` to /dev/null."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # no file, or closed
        return
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, descriptor)
    os.close(null)


def _null_stream() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")
