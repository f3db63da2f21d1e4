"""A solver that is built at its first use.

Importing dnspython takes 60 ms, which would delay the start of the daemon, and most gateways never
use a DNS challenge.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from gatecert.challenge.solver import LeftoverCleaner, RecordTester, SlowSolver

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatecert.challenge.solver import Challenge, SelfTest, Solver
    from gatecert.deadline import Deadline


class LazySolver:
    """A solver that builds another at its first use and delegates every call to it.

    Args:
        build: Builds the solver; called once.
        has_leftovers: Tells if an earlier process may have left a response behind.
    """

    def __init__(
        self, build: Callable[[], Solver], has_leftovers: Callable[[], bool] = lambda: False
    ) -> None:
        self._build = build
        self._has_leftovers = has_leftovers
        self._lock = threading.Lock()
        self._solver: Solver | None = None

    def present(self, challenge: Challenge) -> None:
        """Make the response available."""
        self._built().present(challenge)

    def wait(self, challenge: Challenge, deadline: Deadline) -> None:
        """Return once the authority can see the response."""
        self._built().wait(challenge, deadline)

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        """Wait at most ``seconds`` for the authority's request; return True once it came."""
        return self._built().wait_for_request(challenge, seconds)

    def clean_up(self, challenge: Challenge) -> None:
        """Remove the response; never raises."""
        if self._solver is not None:
            self._solver.clean_up(challenge)

    def seconds_until_visible(self) -> float | None:
        """Return how long ``wait`` takes at most; None if a response is visible at once."""
        solver = self._built()
        return solver.seconds_until_visible() if isinstance(solver, SlowSolver) else None

    def test_records(self, test: SelfTest) -> tuple[str, ...]:
        """Answer as for a request of the authority, if the solver supports it."""
        solver = self._built()
        return solver.test_records(test) if isinstance(solver, RecordTester) else ()

    def remove_leftovers(self) -> None:
        """Remove leftover responses; builds the solver only if there are any; never raises."""
        if not self._has_leftovers():
            return
        solver = self._built()
        if isinstance(solver, LeftoverCleaner):
            solver.remove_leftovers()

    def _built(self) -> Solver:
        with self._lock:
            if self._solver is None:
                self._solver = self._build()
            return self._solver
