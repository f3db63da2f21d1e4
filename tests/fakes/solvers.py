"""A challenge solver that records its calls."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatecert.challenge.solver import Challenge

if TYPE_CHECKING:
    from gatecert.deadline import Deadline


@dataclass
class FakeSolver:
    """A Solver that keeps what it was told, and whose responses are fetched at once."""

    events: list[str] = field(default_factory=list)
    challenges: list[Challenge] = field(default_factory=list)
    fetched: bool = True
    failure: Exception | None = None

    def present(self, challenge: Challenge) -> None:
        if self.failure is not None and self.challenges:
            raise self.failure
        self.challenges.append(challenge)
        self.events.append(f"present {challenge.identifier}")

    def wait(self, challenge: Challenge, deadline: Deadline) -> None:
        assert not deadline.passed
        self.events.append(f"wait {challenge.identifier}")

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        self.events.append(f"seen {challenge.identifier}")
        if not self.fetched:
            threading.Event().wait(seconds)
        return self.fetched

    def clean_up(self, challenge: Challenge) -> None:
        self.events.append(f"clean up {challenge.identifier}")
