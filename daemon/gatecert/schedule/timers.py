"""Timers: one APScheduler job per gateway, so that none waits for another.

A job runs a pass over its gateway. The pass returns when to run again, and the job is scheduled for
then, at most a minute ahead, so that a changed clock or a suspended machine delays it little. A
heartbeat shows that the scheduler runs, and ``check_clock`` compares wall clock and monotonic
clock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger

logger = logging.getLogger(__name__)

LONGEST_TIMER = timedelta(seconds=60)
SHORTEST_TIMER = timedelta(milliseconds=200)
HEARTBEAT = 5.0
HEARTBEAT_ID = "(heartbeat)"  # no gateway can be called that
CLOCK_TOLERANCE = 2.0
MOST_THREADS = 64

RunPass = Callable[[str], datetime | None]


class Timers:
    """A scheduler that runs a pass over each gateway when it is due.

    Args:
        run_pass: Runs a pass over the named gateway and returns when to run again (None: on an
            event). Must not raise.
        longest_timer: The longest time between two passes over a gateway.
        heartbeat: Seconds between two heartbeats.
    """

    def __init__(
        self,
        run_pass: RunPass,
        *,
        longest_timer: timedelta = LONGEST_TIMER,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._run_pass = run_pass
        self._longest_timer = longest_timer
        self._heartbeat_seconds = heartbeat
        self._names: frozenset[str] = frozenset()
        self._running: set[str] = set()
        self._again: set[str] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._beat = time.monotonic()
        self._clock_offset = time.time() - time.monotonic()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={
                "default": ThreadPoolExecutor(MOST_THREADS),
                "heartbeat": ThreadPoolExecutor(1),
            },
            # ``_running`` prevents concurrent passes. APScheduler still counts a pass as running
            # when it schedules itself again, and would drop the next one.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 3},
        )

    def start(self, names: Iterable[str]) -> None:
        """Start; every gateway is due at once."""
        self._start_heartbeat()
        self._scheduler.start()
        self.replace(names)

    def replace(self, names: Iterable[str]) -> None:
        """Run passes over these gateways from now on, starting at once."""
        names = frozenset(names)
        with self._lock:
            gone, self._names = self._names - names, names
        for name in gone:
            with suppress(JobLookupError):
                self._scheduler.remove_job(name)
        self.wake()

    def wake(self) -> None:
        """Run a pass over every gateway now."""
        for name in sorted(self._names):
            self._schedule(name, datetime.now(UTC))

    def stop(self, seconds: float) -> bool:
        """Start no more passes and wait for the running ones.

        Returns:
            True if all ended within ``seconds``.
        """
        with self._lock:
            self._stopped.set()
        if self._scheduler.running:
            # APScheduler 3 marks itself as stopped while its thread may still look up jobs, which
            # then ends with a traceback; without jobs there is nothing to look up.
            self._scheduler.remove_all_jobs()
            self._scheduler.shutdown(wait=False)
        end = time.monotonic() + seconds
        while self._running and time.monotonic() < end:
            time.sleep(0.02)
        return not self._running

    @property
    def seconds_since_heartbeat(self) -> float:
        """The age of the last heartbeat, in seconds."""
        return time.monotonic() - self._beat

    def check_clock(self) -> bool:
        """Run all passes if the wall clock was set or the machine was suspended.

        Timers wait for instants of the wall clock: after it was set back, none would fire, not
        even the heartbeat.
        """
        offset = time.time() - time.monotonic()
        jump, self._clock_offset = offset - self._clock_offset, offset
        if abs(jump) <= CLOCK_TOLERANCE:
            return False
        logger.warning("clock jumped, checking every gateway seconds=%.0f", jump)
        self._start_heartbeat()
        self.wake()
        return True

    def _start_heartbeat(self) -> None:
        """Schedule the next heartbeat.

        One at a time: with an interval, APScheduler spends minutes counting the beats that a clock
        set ahead by years has skipped.
        """
        with self._lock:
            if self._stopped.is_set():
                return
            self._scheduler.add_job(
                self._heartbeat,
                DateTrigger(datetime.now(UTC) + timedelta(seconds=self._heartbeat_seconds)),
                executor="heartbeat",
                id=HEARTBEAT_ID,
                replace_existing=True,
            )

    def _heartbeat(self) -> None:
        self._beat = time.monotonic()
        self._start_heartbeat()

    def _schedule(self, name: str, at: datetime) -> None:
        with self._lock:
            if self._stopped.is_set() or name not in self._names:
                return
            if name in self._running:
                # A running pass is repeated as soon as it is done.
                self._again.add(name)
                return
            self._scheduler.add_job(
                self._run, DateTrigger(at), args=[name], id=name, replace_existing=True
            )

    def _run(self, name: str) -> None:
        with self._lock:
            if self._stopped.is_set() or name not in self._names or name in self._running:
                return
            self._running.add(name)
        wanted: datetime | None = None
        try:
            wanted = self._run_pass(name)
        finally:
            with self._lock:
                self._running.discard(name)
                again = name in self._again
                self._again.discard(name)
            now = datetime.now(UTC)
            latest = now + self._longest_timer
            at = now if again else max(now + SHORTEST_TIMER, min(wanted or latest, latest))
            self._schedule(name, at)
