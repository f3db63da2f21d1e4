"""A solver that is made when it is first needed.

dnspython takes 60 ms to import, which the daemon has better uses for at its start; most gateways
never answer a challenge over DNS.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from gatecert.challenge.solver import LeftoverCleaner, RecordTester

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatecert.challenge.solver import Challenge, SelfTest, Solver
    from gatecert.deadline import Deadline


class LazySolver:
    """Stands for a solver until it is needed, and passes everything on from then.

    Args:
        make: Makes the solver; called once.
        needs_tidying: Whether something may have been left that only the solver can take away.
    """

    def __init__(
        self, make: Callable[[], Solver], needs_tidying: Callable[[], bool] = lambda: False
    ) -> None:
        self._make = make
        self._needs_tidying = needs_tidying
        self._lock = threading.Lock()
        self._solver: Solver | None = None

    def present(self, challenge: Challenge) -> None:
        """Make the response available."""
        self._made().present(challenge)

    def wait(self, challenge: Challenge, deadline: Deadline) -> None:
        """Return once the authority will be able to see the response."""
        self._made().wait(challenge, deadline)

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        """Wait at most ``seconds`` for the authority to look; True as soon as it has."""
        return self._made().wait_for_request(challenge, seconds)

    def clean_up(self, challenge: Challenge) -> None:
        """Take the response away again; never raises."""
        if self._solver is not None:
            self._solver.clean_up(challenge)

    def test_records(self, trial: SelfTest) -> tuple[str, ...]:
        """Answer as if an authority had asked, if the solver knows how to."""
        solver = self._made()
        return solver.test_records(trial) if isinstance(solver, RecordTester) else ()

    def remove_leftovers(self) -> None:
        """Take away what was left behind; makes the solver only if something was; never raises."""
        if not self._needs_tidying():
            return
        solver = self._made()
        if isinstance(solver, LeftoverCleaner):
            solver.remove_leftovers()

    def _made(self) -> Solver:
        with self._lock:
            if self._solver is None:
                self._solver = self._make()
            return self._solver
