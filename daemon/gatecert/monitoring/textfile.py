"""Metrics in a file for the textfile collector of the node_exporter.

https://github.com/prometheus/node_exporter#textfile-collector: it reads all files ``*.prom`` of a
directory, in the text format, and exposes each file's time as ``node_textfile_mtime_seconds``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert.errors import GatecertError
from gatecert.report.monitoring_status import ListenerStatus
from gatecert.store import durable
from gatecert.store.directory_walk import place

if TYPE_CHECKING:
    from gatecert.monitoring.metrics import Metrics
    from gatecert.store.directory_walk import Place

logger = logging.getLogger(__name__)

MODE: Final = 0o644  # the node_exporter is another user
NEVER: Final = -1  # the number of no change


@dataclass(frozen=True, slots=True)
class TextfilePauses:
    """The pauses between two writes, in seconds.

    Attributes:
        least: At least; Prometheus reads the file less often.
        most: After which it is written although nothing has changed; an older file tells that the
            daemon does not run.
        retry: After a failure.
    """

    least: float = 5.0
    most: float = 300.0
    retry: float = 30.0


class Textfile:
    """The file, written when something has changed or it is old, but not all the time.

    Args:
        path: The file.
        pauses: Between two writes.

    Attributes:
        status: Why it cannot be written, if it cannot.
    """

    def __init__(self, path: str, pauses: TextfilePauses) -> None:
        self.status = ListenerStatus("metrics", path)
        self._pauses = pauses
        self._number = NEVER
        self._next_change = self._next = 0.0
        self._written: tuple[int, int] | None = None

    def due(self, number: int) -> float:
        """Return when to write, on the clock of `write`.

        Args:
            number: The number of the last change.
        """
        return self._next if number == self._number else self._next_change

    def write(self, metrics: Metrics, number: int, now: float) -> None:
        """Write the file if it is due; a failure is in ``status``, and logged once.

        Args:
            metrics: Its content.
            number: The number of the last change.
            now: Seconds on a clock that is never set.
        """
        if now < self.due(number):
            return
        before, path = self.status, self.status.address
        try:
            self._written = write_textfile(Path(path), metrics)
        except GatecertError as error:
            self.status = ListenerStatus("metrics", path, error.message, error.fix)
            self._number = NEVER
            self._next_change = now + self._pauses.retry
            if self.status != before:
                logger.warning("metrics.textfile: %s (%s)", error.message, error.fix)
            return
        self.status = ListenerStatus("metrics", path)
        self._number = number
        self._next_change, self._next = now + self._pauses.least, now + self._pauses.most

    def remove(self) -> None:
        """Remove the file if it is the one that was written; a failure is logged."""
        if self._written is None:
            return
        try:
            with place(Path(self.status.address), follow_link=True) as found:
                if _identity(found) == self._written:
                    durable.remove_file(found.path, sync=False, directory=found.directory)
        except GatecertError as error:
            logger.warning("metrics.textfile: remove the file of before: %s", error.message)


def write_textfile(path: Path, metrics: Metrics) -> tuple[int, int] | None:
    """Replace the file at once; the node_exporter never reads half of it.

    Returns:
        Device and inode of the file.

    Raises:
        StorageError: It cannot be written, or other users could lead gatecert elsewhere; a
            previous file is as it was.
    """
    _, body = metrics.exposition("")
    with place(path, follow_link=True) as found:
        durable.write_file(
            found.path, body, mode=MODE, sync=False, directory=found.directory, alone=True
        )
        return _identity(found)


def _identity(found: Place) -> tuple[int, int] | None:
    with durable.step("read", found.path):
        status = found.status()
    return None if status is None else (status.st_dev, status.st_ino)
