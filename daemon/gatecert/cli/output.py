"""Standard output and standard error, whoever reads them: a terminal, a file, a pipe, nobody."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


def prepare() -> None:
    """Make every character printable on every terminal, and let a closed stream swallow all."""
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write_line(stream: TextIO, line: str) -> None:
    """Write a line that nobody has to read: where it cannot be written, it and all after it go."""
    try:
        stream.write(f"{line}\n")
        stream.flush()
    except (OSError, ValueError):  # the pipe is closed, the disk is full
        silence(stream)


def silence(stream: TextIO) -> None:
    """Send what is still to be written to ``stream`` nowhere."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # it is no file, or is closed
        return
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")
