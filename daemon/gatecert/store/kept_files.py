"""Values read from files, kept while the files stay the same.

A file is the same while device, inode, size, and times of content and status are: every writer of
the state directory replaces files by a rename, also a command beside the daemon, and a person's
editor changes the times.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

Value = TypeVar("Value")
_Identity = tuple[tuple[int, ...] | None, ...]


class KeptFiles(Generic[Value]):
    """Values by path, each read from one file or several; threads may share it."""

    def __init__(self) -> None:
        self._kept: dict[Path, tuple[_Identity, Value]] = {}

    def get(
        self, path: Path, read: Callable[[], Value | None], files: Sequence[str] = ()
    ) -> Value | None:
        """Return the value, read again if a file has changed since.

        Args:
            path: The file, or the directory of ``files``.
            read: Reads the value; None, which is not kept, where there is nothing to read. What it
                raises is passed on.
            files: Names of files below ``path``; the first one exists.
        """
        paths = [f"{path}/{name}" for name in files] or [str(path)]
        before, kept = _identity(paths), self._kept.get(path)
        if kept is not None and kept[0] == before:
            return kept[1]
        self._kept.pop(path, None)
        value = read()
        if value is not None and before[0] is not None and _identity(paths) == before:
            self._kept[path] = before, value
        return value

    def keep_only(self, paths: Iterable[Path]) -> None:
        """Forget everything else."""
        wanted = set(paths)
        for path in self._kept.keys() - wanted:
            self._kept.pop(path, None)


def _identity(paths: Iterable[str]) -> _Identity:
    return tuple(map(_stamp, paths))


def _stamp(path: str) -> tuple[int, ...] | None:
    """Return what tells a file from others; None where it cannot be looked at."""
    try:
        found = os.stat(path)  # noqa: PTH116 - called most of all, and a Path takes longer
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
