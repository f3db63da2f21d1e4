"""Timing: one APScheduler job a gateway, so that none waits for another.

A job runs a pass over its gateway; the pass says when it wants to run again, and the job is put
there, never more than a minute ahead: due times are looked at again soon after the clock was set
or the machine slept. A heartbeat on the monotonic clock shows that the scheduler is turning, and
notices when wall clock and monotonic clock part company.
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
    """Runs a pass over each gateway whenever it is due.

    Args:
        attend: Runs one pass over the named gateway and returns the instant at which it wants to
            run again (None: when something happens). Must not raise.
    """

    def __init__(self, attend: RunPass) -> None:
        self._attend = attend
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
            # Passes exclude each other by ``_running``. APScheduler still counts a pass as running
            # when it puts itself on the timer again, and would drop the next one.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 3},
        )

    def start(self, names: Iterable[str]) -> None:
        """Begin; every gateway is due at once."""
        self._start_heartbeat()
        self._scheduler.start()
        self.replace(names)

    def replace(self, names: Iterable[str]) -> None:
        """Attend to these gateways from now on, each of them at once."""
        names = frozenset(names)
        with self._lock:
            gone, self._names = self._names - names, names
        for name in gone:
            with suppress(JobLookupError):
                self._scheduler.remove_job(name)
        self.wake()

    def wake(self) -> None:
        """Every gateway is due now."""
        for name in sorted(self._names):
            self._schedule(name, datetime.now(UTC))

    def stop(self, seconds: float) -> bool:
        """Start nothing more and wait for what is running.

        Returns:
            Whether everything ended within ``seconds``.
        """
        with self._lock:
            self._stopped.set()
        if self._scheduler.running:
            # APScheduler 3 marks itself as stopped while its thread may still be looking jobs up,
            # which then ends with a traceback; without jobs there is nothing to look up.
            self._scheduler.remove_all_jobs()
            self._scheduler.shutdown(wait=False)
        end = time.monotonic() + seconds
        while self._running and time.monotonic() < end:
            time.sleep(0.02)
        return not self._running

    @property
    def seconds_since_heartbeat(self) -> float:
        """Age of the scheduler's last sign of life."""
        return time.monotonic() - self._beat

    def check_clock(self) -> bool:
        """Notice that the wall clock was set or the machine slept, and make everything due.

        Timers wait for instants of the wall clock: where it was set back, none would fire, the
        heartbeat included.
        """
        offset = time.time() - time.monotonic()
        jump, self._clock_offset = offset - self._clock_offset, offset
        if abs(jump) <= CLOCK_TOLERANCE:
            return False
        logger.warning("clock jumped, everything is looked at again seconds=%.0f", jump)
        self._start_heartbeat()
        self.wake()
        return True

    def _start_heartbeat(self) -> None:
        """Put the next beat on the timer.

        One at a time: of an interval, APScheduler counts every beat that a clock set ahead by years
        has left out, for minutes.
        """
        with self._lock:
            if self._stopped.is_set():
                return
            self._scheduler.add_job(
                self._heartbeat,
                DateTrigger(datetime.now(UTC) + timedelta(seconds=HEARTBEAT)),
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
                # A job under way is not moved: it is looked at again as soon as it is done.
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
            wanted = self._attend(name)
        finally:
            with self._lock:
                self._running.discard(name)
                again = name in self._again
                self._again.discard(name)
            now = datetime.now(UTC)
            latest = now + LONGEST_TIMER
            at = now if again else max(now + SHORTEST_TIMER, min(wanted or latest, latest))
            self._schedule(name, at)
