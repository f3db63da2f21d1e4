"""Names of temporary files, which identify the process that made them.

``.tmp-PID-RUN-N`` will be renamed, ``.trash-PID-RUN-N`` will be deleted. Once their process has
ended, they are leftovers of a crash. PIDs are reused (in a container the daemon is always process
1), so a name also contains a random id of the run. If a running process fails to remove a file, for
example on a read-only disk, it marks the file as abandoned, and that is a leftover too.

Outside the state directory nothing is searched for leftovers, since a file of such a name may be
anybody's. A file that only one process writes at a time has one temporary name, made from its own.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import secrets
from collections import deque
from contextlib import suppress
from pathlib import Path

from gatecert import regular_files

_RUN_ID = secrets.token_hex(4)
_NUMBERS = itertools.count()
_abandoned: deque[str] = deque(maxlen=1000)  # a disk may fail for a long time
_MARK = re.compile(r"(?P<pid>[0-9]{1,10})-(?P<run>[0-9a-f]{8})")
_PRIVATE_NAME = re.compile(r"\.(?:tmp|trash)-(?P<pid>[0-9]{1,10})-(?P<run>[0-9a-f]{8})-[0-9]+")


def temporary_beside(path: Path) -> Path:
    """Return an unused name in the same directory for a file that will become ``path``."""
    return path.with_name(_private_name("tmp"))


def trash_beside(path: Path) -> Path:
    """Return an unused name in the same directory for what was ``path``."""
    return path.with_name(_private_name("trash"))


def leftover_beside(path: Path) -> Path:
    """Return the temporary name of a file that one process writes at a time."""
    return path.with_name(f".tmp-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]}")


def is_leftover(name: str) -> bool:
    """Tell whether a name belongs to an ended run of gatecert, or is marked as abandoned."""
    match = _PRIVATE_NAME.fullmatch(name)
    if match is None:
        return False
    return name in _abandoned or _is_over(int(match["pid"]), match["run"])


def mark_abandoned(path: Path) -> None:
    """Mark an existing temporary file as abandoned."""
    if path.name not in _abandoned:
        _abandoned.append(path.name)


def unmark_abandoned(path: Path) -> None:
    """Forget that a temporary file was abandoned: it no longer exists."""
    with suppress(ValueError):
        _abandoned.remove(path.name)


def process_mark() -> str:
    """Return the mark of this run of this process."""
    return f"{os.getpid()}-{_RUN_ID}"


def is_abandoned(mark: str) -> bool:
    """Tell whether the run of a mark has ended; also true for an invalid mark."""
    match = _MARK.fullmatch(mark)
    return match is None or _is_over(int(match["pid"]), match["run"])


def _private_name(kind: str) -> str:
    return f".{kind}-{process_mark()}-{next(_NUMBERS)}"


def _is_over(pid: int, run: str) -> bool:
    return run != _RUN_ID if pid == os.getpid() else not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Tell whether a process has ended and its parent, for example in a container, ignores it."""
    try:
        status = regular_files.read(Path(f"/proc/{pid}/stat")).decode("ascii", "replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[:1] == ["Z"]
