"""Names for what is being made or removed, which tell whose they are.

``.tmp-PID-LIFE-N`` is becoming something, ``.trash-PID-LIFE-N`` is about to be deleted. Both belong
to one process; once that is gone they are leftovers of a crash. PIDs come again (in a container
the daemon is process 1 in every life), so the name also carries a random mark of this life. What a
living process could not remove, on a disk that was read-only for a while, it has given up: that is
a leftover like any other.
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LIFE = secrets.token_hex(4)
_NUMBERS = itertools.count()
_abandoned: deque[str] = deque(maxlen=1000)  # a disk may fail for long
_MARK = re.compile(r"(?P<pid>[0-9]{1,10})-(?P<life>[0-9a-f]{8})")
_PRIVATE_NAME = re.compile(r"\.(?:tmp|trash)-(?P<pid>[0-9]{1,10})-(?P<life>[0-9a-f]{8})-[0-9]+")


def temporary_beside(path: Path) -> Path:
    """A free name in the same directory for what is going to be ``path``."""
    return path.with_name(_private_name("tmp"))


def trash_beside(path: Path) -> Path:
    """A free name in the same directory for what was ``path``."""
    return path.with_name(_private_name("trash"))


def is_leftover(name: str) -> bool:
    """Whether a name was given by gatecert, in a life that is over, or to what was given up."""
    match = _PRIVATE_NAME.fullmatch(name)
    if match is None:
        return False
    return name in _abandoned or _is_over(int(match["pid"]), match["life"])


def mark_abandoned(path: Path) -> None:
    """Nobody works with a private name any more, although something still stands under it."""
    if path.name not in _abandoned:
        _abandoned.append(path.name)


def unmark_abandoned(path: Path) -> None:
    """Nothing stands under a private name any more."""
    with suppress(ValueError):
        _abandoned.remove(path.name)


def process_mark() -> str:
    """What tells this life of this process from every other."""
    return f"{os.getpid()}-{_LIFE}"


def is_abandoned(mark: str) -> bool:
    """Whether the life that a mark stands for is over; also true of what is no mark."""
    match = _MARK.fullmatch(mark)
    return match is None or _is_over(int(match["pid"]), match["life"])


def _private_name(kind: str) -> str:
    return f".{kind}-{process_mark()}-{next(_NUMBERS)}"


def _is_over(pid: int, life: str) -> bool:
    return life != _LIFE if pid == os.getpid() else not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
