"""Requests counted towards rate limits: ``spending/<host>-<digest of the directory URL>.jsonl``.

A CA counts requests by account and address. The file therefore belongs to a directory URL: renaming
a CA in the configuration, or configuring it twice, does not reset the count. Daemon and commands
change the file under its own lock, which they hold for some milliseconds.

Each change is a line that is appended. A process keeps the requests in memory and reads only the
lines that others have appended, so a change costs the same whatever the number of requests. Once
most lines are no longer needed, the file is rewritten with the requests that are.

A file of an earlier gatecert (``….json``, rewritten whole) is taken over: its requests are durable
in the new file before it is removed. Where a crash left both, each request counts once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gatecert.errors import LockTimeoutError, StorageError
from gatecert.model import CountedRequest, Expenses, UsageChange
from gatecert.store import durable, lock
from gatecert.store.appended_records import AppendedRecords
from gatecert.store.counting_rules import limit_reached, without_stale
from gatecert.store.damaged_files import DamagedRecordError, quarantine
from gatecert.store.json_record import read_record
from gatecert.store.layout import StateFiles
from gatecert.store.usage_index import UsageIndex

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from gatecert.model import (
        CountedBy,
        GroupUse,
        LimitReached,
        Limits,
        RequestGroup,
        RequestKind,
    )

logger = logging.getLogger(__name__)

LONGEST_WAIT = 10.0  # seconds
LARGEST = 256 << 20  # bytes; a line has some three hundred, and setting aside resets the count
FEWEST_NEEDLESS = 500  # lines, before the file is rewritten

_UNSAFE = re.compile(r"[^a-z0-9.-]")


@dataclass(frozen=True, slots=True)
class _EarlierUsage:
    """The contents of the file of an earlier gatecert."""

    expenses: tuple[CountedRequest, ...] = ()


class RateLimitUsageFiles(StateFiles):
    """The counts of requests to each CA; see ``RateLimitUsageStore``.

    Attributes:
        usage_wait: Seconds to wait for others that change the counts.
    """

    usage_wait = LONGEST_WAIT

    def __init__(self, state_directory: Path) -> None:
        super().__init__(state_directory)
        self._usage_files: dict[str, _UsageFile] = {}

    def count_requests(
        self, directory_url: str, expenses: Expenses, within: Limits
    ) -> LimitReached | None:
        """Count requests under the lock; a damaged file is logged and set aside before."""
        file = self._usage_file(directory_url)
        self._layout.make(self._layout.rate_limit_usage)
        with file.thread_turn(self.usage_wait), file.process_turn(self.usage_wait):
            if file.is_earlier_left():
                file.take_over()
            file.refresh(set_aside=True)
            reached = limit_reached(file.index, expenses, within)
            change = file.index.change_for(expenses if reached is None else Expenses(expenses.now))
            if change is not None:
                file.append(change, within, expenses.now)
            return reached

    def instants(
        self,
        directory_url: str,
        group: RequestGroup,
        *,
        since: datetime,
        now: datetime,
        count: int,
    ) -> list[datetime]:
        """Return from when requests count."""
        with self._refreshed(directory_url) as index:
            return index.instants(group, since=since, now=now, count=count)

    def number_counted(self, directory_url: str, kind: RequestKind) -> int:
        """Return how many requests of a kind are counted."""
        with self._refreshed(directory_url) as index:
            return index.number(kind)

    def busiest_groups(  # noqa: PLR0913 - see RateLimitUsageStore
        self,
        directory_url: str,
        kind: RequestKind,
        by: CountedBy,
        *,
        since: datetime,
        now: datetime,
        full: int,
    ) -> list[GroupUse]:
        """Return how busy groups are."""
        with self._refreshed(directory_url) as index:
            return index.busiest_groups(kind, by, since=since, now=now, full=full)

    def counted_requests(self, directory_url: str) -> tuple[CountedRequest, ...]:
        """Return the counted requests to a CA, in the order of counting."""
        with self._refreshed(directory_url) as index:
            return index.requests

    def take_over_requests(self, directory_url: str, requests: Sequence[CountedRequest]) -> None:
        """Count requests that another store has counted, each once, whatever the limits are."""
        file = self._usage_file(directory_url)
        self._layout.make(self._layout.rate_limit_usage)
        with file.thread_turn(self.usage_wait), file.process_turn(self.usage_wait):
            if file.is_earlier_left():
                file.take_over()
            file.add_missing(requests)

    @contextmanager
    def _refreshed(self, directory_url: str) -> Iterator[UsageIndex]:
        """Yield the counted requests; a damaged file is logged and read as empty."""
        file = self._usage_file(directory_url)
        with file.thread_turn(self.usage_wait):
            if file.is_earlier_left():
                with file.process_turn(self.usage_wait):
                    file.take_over()
            file.refresh()
            yield file.index

    def _usage_file(self, directory_url: str) -> _UsageFile:
        known = self._usage_files.get(directory_url)
        if known is not None:
            return known
        host = _UNSAFE.sub("_", (urlsplit(directory_url).hostname or "").lower())[:100]
        digest = hashlib.sha256(directory_url.encode()).hexdigest()[:12]
        path = self._layout.rate_limit_usage / f"{host}-{digest}.jsonl"
        file = _UsageFile(path, f"the rate limit usage at {urlsplit(directory_url).netloc}")
        return self._usage_files.setdefault(directory_url, file)


class _UsageFile:
    """The requests to one CA, in memory and on the disk."""

    def __init__(self, path: Path, what: str) -> None:
        self.index = UsageIndex()
        self._what = what
        self._records = AppendedRecords(path, UsageChange, largest=LARGEST)
        self._path = path
        self._earlier = path.with_suffix(".json")
        self._turn = threading.Lock()
        self._look_at = FEWEST_NEEDLESS  # lines, at which to look for needless ones

    @contextmanager
    def thread_turn(self, wait: float) -> Iterator[None]:
        """Queue the threads of this process: a lock file is not fair and may starve one of many."""
        if not self._turn.acquire(timeout=wait):
            raise LockTimeoutError(
                f"{self._what} is being changed by this process: counting gave up after {wait:g} s",
                fix="try again when it has finished",
            )
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def process_turn(self, wait: float) -> Iterator[None]:
        """Hold the lock that all processes take before they write."""
        file = self._path.with_suffix(".lock")
        with lock.hold_lock_file(file, self._what, "counting", wait=wait):
            yield

    def refresh(self, *, set_aside: bool = False) -> None:
        """Read what others have written.

        Args:
            set_aside: Whether to rename a damaged file, which only a writer may do.
        """
        try:
            whole, changes = self._records.read()
        except DamagedRecordError as error:
            if set_aside:
                quarantine(self._path, str(error))
            else:
                logger.warning("damaged path=%s why=%r read=as-new", self._path, str(error))
            self._records.forget()
            whole, changes = True, []
        if whole:
            self.index, self._look_at = UsageIndex(), FEWEST_NEEDLESS
        for change in changes:
            self.index.apply(change)

    def append(self, change: UsageChange, within: Limits, now: datetime) -> None:
        """Write a change; the index has it after the next refresh, as in other processes."""
        self._records.append([change])
        if self._records.lines + 1 >= self._look_at:
            try:
                self._prune(within, now)
            except StorageError as error:
                logger.warning("%s takes more space than needed: %s", self._what, error)

    def _prune(self, within: Limits, now: datetime) -> None:
        """Rewrite the file if most of its lines are needless."""
        self.refresh()
        kept, lines = without_stale(self.index.requests, within, now), self._records.lines
        self._look_at = max(2 * len(kept), lines) + FEWEST_NEEDLESS
        if lines >= 2 * len(kept) + FEWEST_NEEDLESS:
            self._records.rewrite(_lines(kept) or [UsageChange()])

    def is_earlier_left(self) -> bool:
        """Tell whether there is a file of an earlier gatecert."""
        with durable.step("look at", self._earlier):
            return os.path.lexists(self._earlier)

    def add_missing(self, requests: Sequence[CountedRequest]) -> None:
        """Add the requests that are not counted yet."""
        self.refresh(set_aside=True)
        missing = list(_missing(requests, self.index))
        if missing:
            self._records.append(_lines(missing))

    def take_over(self) -> None:
        """Add the requests of the earlier file that are missing here, and remove that file."""
        earlier = read_record(self._earlier, _EarlierUsage, largest=LARGEST)
        if earlier is None:  # set aside, or another process was faster
            return
        self.add_missing(earlier.expenses)
        durable.remove_file(self._earlier)


def _lines(requests: Sequence[CountedRequest]) -> list[UsageChange]:
    """Return a change for each request, so that a damaged line costs one."""
    return [UsageChange(counted=(request,)) for request in requests]


def _missing(requests: Sequence[CountedRequest], index: UsageIndex) -> Iterator[CountedRequest]:
    """Yield the requests that are not counted yet, or not as late."""
    known = Counter(replace(request, noticed=None) for request in index.requests)
    for request in requests:
        same = index.find(request)
        unmarked = replace(request, noticed=None)
        if same is not None and same.at >= request.at:
            continue
        if known[unmarked] > 0:
            known[unmarked] -= 1
            continue
        yield request
