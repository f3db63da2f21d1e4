"""Periodic cleanup in a background thread."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from gatecert.challenge.cleanup_thread import CleanupThread

if TYPE_CHECKING:
    from gatecert.challenge.solver import Challenge
    from gatecert.deadline import Deadline


class PlainSolver:
    """A solver without leftovers."""

    def present(self, challenge: Challenge) -> None: ...

    def wait(self, challenge: Challenge, deadline: Deadline) -> None: ...

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        del challenge, seconds
        return False

    def clean_up(self, challenge: Challenge) -> None: ...


class SlowCleaner(PlainSolver):
    """A solver whose cleanup takes long."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.may_end = threading.Event()
        self.times = 0

    def remove_leftovers(self) -> None:
        self.times += 1
        self.began.release()
        self.may_end.wait(5)


def test_each_solver_cleans_up_once_at_the_start() -> None:
    solver = SlowCleaner()
    solver.may_end.set()
    cleanup = CleanupThread()

    cleanup.run_if_due({"dns-01": solver, "dns-account-01": solver, "http-01": PlainSolver()})
    cleanup.wait()
    cleanup.run_if_due({"dns-01": solver})
    cleanup.wait()

    assert solver.times == 1


def test_cleanup_runs_again_after_the_pause() -> None:
    solver = SlowCleaner()
    solver.may_end.set()
    cleanup = CleanupThread(0.01)

    cleanup.run_if_due({"dns-01": solver})
    cleanup.wait()
    time.sleep(0.02)
    cleanup.run_if_due({"dns-01": solver})
    cleanup.wait()

    assert solver.times == 2


def test_cleanup_runs_in_the_background_and_never_twice_at_a_time() -> None:
    solver = SlowCleaner()
    cleanup = CleanupThread(0.0)

    cleanup.run_if_due({"dns-01": solver})
    assert solver.began.acquire(timeout=5)
    cleanup.run_if_due({"dns-01": solver})
    solver.may_end.set()
    cleanup.wait()

    assert solver.times == 1
