"""Gateways that another process has changed, as the kernel tells of them (inotify(7)).

Commands beside the daemon leave a file in ``STATE/changed``. The directory of each gateway is
watched as well: a ``live`` that was deleted by hand, or a state that was restored from a backup, is
noticed at once. What a worker writes during its own pass is no news.

Without inotify, or where its limit is reached, ``STATE/changed`` is read once a minute, and the
rest is noticed by the next pass over the gateway.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from gatecert.store.layout import Layout
from gatecert.store.state_directory import take_changes
from gatecert.system_calls import (
    IN_CREATE,
    IN_DELETE,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    DirectoryWatch,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

logger = logging.getLogger(__name__)

POLLED: Final = 60.0  # seconds
NEW: Final = IN_CREATE | IN_MOVED_TO
REPLACED: Final = IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO  # new temporary files wake nobody
LOST: Final = -1  # number of the watch: the queue of events was full
WITHOUT_CONSEQUENCES: Final = {"lock", "reload-wanted"}


class Changes:
    """Tells which gateways have changed.

    Args:
        directory: The state directory, held.

    Attributes:
        watch: None if the kernel tells of nothing.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._layout = Layout(directory.absolute())
        self._gateways: dict[int, str] = {}
        self._watched: set[str] = set()
        self._full = False
        self.watch: DirectoryWatch | None = None
        try:
            self.watch = DirectoryWatch()
            self.watch.add(self._layout.changed, NEW)
        except OSError as error:
            if self.watch is not None:
                self.watch.close()
            self.watch = None
            logger.warning(
                "commands beside the daemon are noticed within a minute only: inotify: %s (raise "
                "fs.inotify.max_user_instances)",
                error,
            )
        take_changes(directory)

    @property
    def seconds(self) -> float | None:
        """Seconds between two calls of `changed`; None if the watch tells when."""
        return POLLED if self.watch is None else None

    def close(self) -> None:
        """Release the watch."""
        if self.watch is not None:
            self.watch.close()

    def follow(self, gateway: str) -> None:
        """Watch the directory of a gateway, if it exists."""
        if self.watch is None or self._full or gateway in self._watched:
            return
        try:
            number = self.watch.add(self._layout.gateway(gateway), REPLACED)
        except FileNotFoundError:
            return
        except OSError as error:
            self._full = True
            logger.warning(
                "changes by hand are noticed at the next pass only: inotify: %s (raise "
                "fs.inotify.max_user_watches)",
                error,
            )
            return
        self._gateways[number] = gateway
        self._watched.add(gateway)

    def keep(self, gateways: Iterable[str]) -> None:
        """Follow no other gateways any more."""
        gone = self._watched - set(gateways)
        for number in [each for each, name in self._gateways.items() if name in gone]:
            self._forget(number)

    def changed(self, busy: Iterable[str] = ()) -> set[str]:
        """Return the gateways that another process has changed since the last call.

        Args:
            busy: Gateways that a worker works on; what changes in their directories is its doing.
        """
        found: set[str] = set()
        busy = set(busy)
        for number, name in self.watch.events() if self.watch is not None else ():
            if number == LOST:
                found |= self._watched - busy
            gateway = self._gateways.get(number)
            if gateway is None:
                continue
            if not name:  # the directory is gone
                self._forget(number, remove=False)
            if gateway not in busy and name not in WITHOUT_CONSEQUENCES and name[:1] != ".":
                found.add(gateway)
        return found.union(take_changes(self._directory))

    def _forget(self, number: int, *, remove: bool = True) -> None:
        self._watched.discard(self._gateways.pop(number))
        if remove and self.watch is not None:
            self.watch.remove(number)
