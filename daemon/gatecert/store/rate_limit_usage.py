"""What was asked of authorities: ``spending/<host>-<digest of the directory's URL>.json``.

An authority counts what comes from one host or account whatever it is called here, so there is one
file a directory URL: renaming an authority, or naming it twice, frees nothing. Daemon and commands
change the file under its own lock, never for longer than it takes to write it.

Whoever looks after thousands of gateways asks for more than other records ever hold, and a record
that was set aside for its size would free what the authority still counts.
"""

from __future__ import annotations

import hashlib
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gatecert.model import RateLimitUsage
from gatecert.store import durable, lock
from gatecert.store.json_record import read_record, write_record
from gatecert.store.layout import PRIVATE_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatecert.store.layout import Layout

LONGEST_WAIT = 10.0  # seconds; others hold the lock for some milliseconds
LARGEST = 256 << 20  # bytes; a request has some three hundred

_UNSAFE = re.compile(r"[^a-z0-9.-]")


class RateLimitUsageFiles:
    """What was asked of each authority from one state directory."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._turn = threading.Lock()

    def rate_limit_usage(self, directory_url: str) -> RateLimitUsage:
        """What was asked; a damaged file is set aside, said in the log, and read as nothing."""
        path = self._path(directory_url)
        return read_record(path, RateLimitUsage, largest=LARGEST) or RateLimitUsage()

    def update_rate_limit_usage(
        self, directory_url: str, change: Callable[[RateLimitUsage], RateLimitUsage]
    ) -> None:
        """Change it while nobody else does."""
        path = self._path(directory_url)
        self._layout.make(path.parent)
        what = f"the rate limit usage of {urlsplit(directory_url).netloc}"
        file = path.with_suffix(".lock")
        with self._in_turn(), lock.hold_lock_file(file, what, "counting", wait=LONGEST_WAIT):
            before = self.rate_limit_usage(directory_url)
            after = change(before)
            if after != before:
                write_record(path, after, mode=PRIVATE_FILE, indent=None)

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Queue among the threads of this process, since a lock file knows no turns.

        Without, of many gateways that enrol at once one or the other would never get it in time.
        """
        queued = self._turn.acquire(timeout=LONGEST_WAIT)
        try:
            yield
        finally:
            if queued:
                self._turn.release()

    def sweep(self) -> None:
        """Remove files that a crash left half written."""
        durable.sweep(self._layout.rate_limit_usage)

    def _path(self, directory_url: str) -> Path:
        host = _UNSAFE.sub("_", (urlsplit(directory_url).hostname or "").lower())[:100]
        digest = hashlib.sha256(directory_url.encode()).hexdigest()[:12]
        return self._layout.rate_limit_usage / f"{host}-{digest}.json"
