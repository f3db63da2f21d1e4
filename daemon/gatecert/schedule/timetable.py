"""The timetable: when each gateway is due next, as jobs of APScheduler.

A gateway has one job, for one instant of the wall clock. The owner's event loop waits for the
earliest one and calls `Timetable.due`; the scheduler has no thread, no interval and no beat of its
own. When the clock is set, the instants stay what they are: only the owner has to look again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from apscheduler.executors.base import BaseExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.date import DateTrigger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apscheduler.job import Job


class Timetable:
    """Says which gateways are due."""

    def __init__(self) -> None:
        self._due = _DueNames()
        self._scheduler = _EventLoopScheduler(
            timezone=UTC,
            executors={"default": self._due},
            job_defaults={"misfire_grace_time": None, "coalesce": True},
        )
        self._scheduler.start()
        self._instants: dict[str, float] = {}

    def schedule(self, name: str, at: datetime) -> None:
        """Make a gateway due at an instant instead of any earlier setting."""
        self._instants[name] = at.timestamp()
        self._scheduler.add_job(
            _nothing, DateTrigger(at), args=(name,), id=name, replace_existing=True
        )

    def keep(self, names: Iterable[str]) -> None:
        """Remove every gateway that is not among these."""
        for name in self._instants.keys() - set(names):
            del self._instants[name]
            try:
                self._scheduler.remove_job(name)
            except JobLookupError:
                continue

    def due(self) -> list[str]:
        """Return the gateways whose instant has come; each once, until it is scheduled again."""
        self._scheduler.process()
        names = self._due.take()
        for name in names:
            self._instants.pop(name, None)
        return names

    def next_instant(self) -> float | None:
        """Return when the next gateway is due, in seconds since the epoch; None for never."""
        return self._scheduler.next_instant()

    def instant(self, name: str) -> float | None:
        """Return when a gateway is due, in seconds since the epoch; None if it is not scheduled."""
        return self._instants.get(name)


class _EventLoopScheduler(BaseScheduler):  # type: ignore[misc] # APScheduler has no types
    """A scheduler that an event loop calls, as APScheduler's own for asyncio or Qt are."""

    def shutdown(self, *, wait: bool = True) -> None:
        """Forget all jobs."""
        super().shutdown(wait)

    def wakeup(self) -> None:
        """Do nothing: the event loop asks for the next instant before it waits."""

    def process(self) -> None:
        """Hand the jobs that are due to their executor."""
        self._process_jobs()

    def next_instant(self) -> float | None:
        """Return when the next job is due, in seconds since the epoch."""
        with self._jobstores_lock:
            found = self._lookup_jobstore("default").get_next_run_time()
        return found.timestamp() if found is not None else None


class _DueNames(BaseExecutor):  # type: ignore[misc] # APScheduler has no types
    """Collects the gateways of jobs that are due, in place of running something."""

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []

    def submit_job(self, job: Job, run_times: list[datetime]) -> None:  # noqa: ARG002 - the base's
        """Note the gateway of a job."""
        self._names.append(job.args[0])

    def _do_submit_job(self, job: Job, run_times: list[datetime]) -> Any:  # noqa: ANN401
        """Do nothing: `submit_job` has noted it."""

    def take(self) -> list[str]:
        """Return the gateways noted since the last call."""
        names, self._names = self._names, []
        return names


def _nothing(name: str) -> None:
    """Stand for the work on a gateway, which its worker does."""
