"""Time and processor time of a command that runs to its end."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Usage:
    """Time and processor time of a command.

    Attributes:
        seconds: From start to end.
        processor: Processor time in seconds, of all its processes.
        exit_code: Its exit status.
        output: Standard output and standard error.
    """

    seconds: float
    processor: float
    exit_code: int
    output: str


def used_by(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Usage:
    """Run a command; the caller checks the exit code.

    Args:
        argv: The command.
        environment: Added to this process's own.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)  # it was waited for
        output.seek(0)
        return Usage(seconds, usage.ru_utime + usage.ru_stime, process.returncode, output.read())
