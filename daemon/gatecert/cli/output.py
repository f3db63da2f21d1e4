"""Standard output and standard error, robust against closed pipes, full disks and any encoding."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


def prepare() -> None:
    """Make every character printable in any encoding; replace a closed stream by /dev/null."""
    sys.stdout = sys.stdout or _null_stream()
    sys.stderr = sys.stderr or _null_stream()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write_line(stream: TextIO, line: str) -> None:
    """Write a line; if that fails, drop it and everything after it."""
    write_text(stream, f"{line}\n")


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
