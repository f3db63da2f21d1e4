"""Taking away, now and then, what crashes and unreachable providers left behind.

It may take long (a provider that is out of reach), so it has a thread of its own; no gateway waits
for it. Commands need none of this: each challenge that is over tidies as well.
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
    """Tidies at the first call of ``run_if_due`` and then every so often, never twice at a time.

    Args:
        pause: Seconds between the end of one time and the beginning of the next.
    """

    def __init__(self, pause: float = PAUSE) -> None:
        self._pause = pause
        self._thread: threading.Thread | None = None
        self._ended = float("-inf")

    def run_if_due(self, solvers: Mapping[str, Solver]) -> None:
        """Begin if it is time to; returns at once."""
        busy = self._thread is not None and self._thread.is_alive()
        if busy or time.monotonic() < self._ended + self._pause:
            return
        # A daemon thread: a provider that hangs must not keep gatecert from leaving.
        self._thread = threading.Thread(
            target=self._run, args=(dict(solvers),), name="tidying", daemon=True
        )
        self._thread.start()

    def wait(self) -> None:
        """Wait until it is not at it any more."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, solvers: Mapping[str, Solver]) -> None:
        try:
            for solver in dict.fromkeys(solvers.values()):
                if isinstance(solver, LeftoverCleaner):
                    solver.remove_leftovers()
        finally:
            self._ended = time.monotonic()
