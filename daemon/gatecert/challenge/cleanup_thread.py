"""Periodic removal of responses that crashes and unreachable providers left behind.

An unreachable provider can block for long, so this runs in its own thread and delays no gateway.
Commands do not need it: solvers also clean up after every challenge.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from gatecert.challenge.solver import LeftoverCleaner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatecert.challenge.solver import Solver

PAUSE: Final = 900.0  # seconds


class CleanupThread:
    """Removes leftovers at the first call of ``run_if_due`` and then periodically.

    Args:
        pause: Seconds between the end of one run and the start of the next.
    """

    def __init__(self, pause: float = PAUSE) -> None:
        self._pause = pause
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = float("-inf")

    def run_if_due(self, solvers: Mapping[str, Solver]) -> None:
        """Start a run if one is due and none is running; return at once."""
        if time.monotonic() >= self._ended + self._pause:
            self.run(solvers)

    def run(self, solvers: Mapping[str, Solver]) -> None:
        """Start a run unless one is running; return at once."""
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return
            # A daemon thread: a provider that hangs must not keep gatecert from exiting.
            self._thread = threading.Thread(
                target=self._run, args=(dict(solvers),), name="cleanup", daemon=True
            )
            self._thread.start()

    def wait(self) -> None:
        """Wait for the end of the current run."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, solvers: Mapping[str, Solver]) -> None:
        try:
            for solver in dict.fromkeys(solvers.values()):
                if isinstance(solver, LeftoverCleaner):
                    solver.remove_leftovers()
        finally:
            self._ended = time.monotonic()
