"""Requests counted towards rate limits: ``spending/<host>-<digest of the directory URL>.json``.

A CA counts requests by account and address. The file therefore belongs to a directory URL: renaming
a CA in the configuration, or configuring it twice, does not reset the count. Daemon and commands
change the file under its own lock, which they hold for some milliseconds.

An installation with thousands of gateways counts more requests than other records hold. The size
limit is higher here, because a file that is set aside would reset the count.
"""

from __future__ import annotations

import hashlib
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gatecert.model import RateLimitUsage
from gatecert.store import lock
from gatecert.store.json_record import read_record, write_record
from gatecert.store.layout import PRIVATE_FILE, StateFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LONGEST_WAIT = 10.0  # seconds
LARGEST = 256 << 20  # bytes; an entry has some three hundred

_UNSAFE = re.compile(r"[^a-z0-9.-]")


class RateLimitUsageFiles(StateFiles):
    """The counts of requests to each CA; see ``RateLimitUsageStore``.

    Attributes:
        usage_wait: Seconds to wait for others that change the counts.
    """

    usage_wait = LONGEST_WAIT

    def __init__(self, state_directory: Path) -> None:
        super().__init__(state_directory)
        self._usage_lock = threading.Lock()

    def rate_limit_usage(self, directory_url: str) -> RateLimitUsage:
        """Return the requests so far; a damaged file is logged, set aside and read as empty."""
        path = self._usage_path(directory_url)
        return read_record(path, RateLimitUsage, largest=LARGEST) or RateLimitUsage()

    def update_rate_limit_usage(
        self, directory_url: str, change: Callable[[RateLimitUsage], RateLimitUsage]
    ) -> None:
        """Change the stored value under its lock."""
        path = self._usage_path(directory_url)
        self._layout.make(path.parent)
        what = f"the rate limit usage at {urlsplit(directory_url).netloc}"
        file = path.with_suffix(".lock")
        with self._thread_turn(), lock.hold_lock_file(file, what, "counting", wait=self.usage_wait):
            before = self.rate_limit_usage(directory_url)
            after = change(before)
            if after != before:
                write_record(path, after, mode=PRIVATE_FILE, indent=None)

    @contextmanager
    def _thread_turn(self) -> Iterator[None]:
        """Queue the threads of this process: a lock file is not fair and may starve one of many."""
        queued = self._usage_lock.acquire(timeout=self.usage_wait)
        try:
            yield
        finally:
            if queued:
                self._usage_lock.release()

    def _usage_path(self, directory_url: str) -> Path:
        host = _UNSAFE.sub("_", (urlsplit(directory_url).hostname or "").lower())[:100]
        digest = hashlib.sha256(directory_url.encode()).hexdigest()[:12]
        return self._layout.rate_limit_usage / f"{host}-{digest}.json"
