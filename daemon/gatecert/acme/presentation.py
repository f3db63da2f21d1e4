"""Bringing up a response for each name of an order, by the first challenge type that can be.

A type that cannot be presented here (a port that is taken, a nameserver that refuses) is passed
over for the next one of the name: the authority has been told nothing yet, so that costs nothing.
All names are brought up before any is waited for, since records take their time to be seen.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from gatecert.challenge.solver import Challenge, Solver
from gatecert.errors import ChallengeError, FailedAttempt, clean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatecert.deadline import Deadline

logger = logging.getLogger(__name__)

LONGEST_NAMES = 200


@dataclass(frozen=True, slots=True)
class ChallengeAttempt:
    """A challenge to meet, and who meets it.

    Attributes:
        answered: Whether the authority has been told before, by an interrupted attempt.
    """

    challenge: Challenge
    solver: Solver
    url: str
    answered: bool


@dataclass(slots=True)
class NameChallenges:
    """One name, and the ways to prove it that are left to try, best first.

    Attributes:
        reason: Why the first of them is not the first that is configured; empty where it is.
        errors: Why ways were given up, in order.
        attempts: The same as data.
    """

    name: str
    tasks: deque[ChallengeAttempt]
    reason: str = ""
    errors: list[ChallengeError] = field(default_factory=list)
    attempts: list[FailedAttempt] = field(default_factory=list)

    def give_up(self, task: ChallengeAttempt, error: ChallengeError) -> None:
        """Remember that a way was of no use."""
        kind = task.challenge.type
        self.errors.append(error)
        self.attempts.append(FailedAttempt(self.name, kind, error.message))
        self.reason = "; ".join(
            f"{attempt.kind} cannot be presented: {attempt.reason}" for attempt in self.attempts
        )

    def failure(self) -> ChallengeError:
        """What to raise when no way is left."""
        failure = self.errors[0] if len(self.errors) == 1 else self._all_failures()
        failure.attempts = tuple(self.attempts)
        return failure

    def _all_failures(self) -> ChallengeError:
        reasons = "; ".join(f"{attempt.kind}: {attempt.reason}" for attempt in self.attempts)
        return ChallengeError(
            f"no challenge can be presented for {self.name}: {reasons}", fix=self.errors[0].fix
        )


class Presentation:
    """Responses that are up for as long as this is entered.

    Args:
        deadline: When to stop waiting for responses to be seen.
        tell: Told what is proven by what, and why.
    """

    def __init__(self, deadline: Deadline, tell: Callable[[str], None]) -> None:
        self._deadline = deadline
        self._tell = tell
        self._presented = ExitStack()
        self.attempts: list[FailedAttempt] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._presented.close()

    def bring_up(self, prospects: Sequence[NameChallenges]) -> list[ChallengeAttempt]:
        """Present a response for each name, and wait until the authority will see it.

        Raises:
            ChallengeError: For some name there is none.
        """
        try:
            tasks = [self._present(prospect) for prospect in prospects]
            self._describe(prospects, tasks)
            return [
                self._wait(prospect, task) for prospect, task in zip(prospects, tasks, strict=True)
            ]
        finally:
            self.attempts += [attempt for each in prospects for attempt in each.attempts]

    def _present(self, prospect: NameChallenges) -> ChallengeAttempt:
        while prospect.tasks:
            task = prospect.tasks.popleft()
            try:
                task.solver.present(task.challenge)
            except ChallengeError as error:
                self._pass_over(prospect, task, error)
                continue
            self._presented.callback(task.solver.clean_up, task.challenge)
            return task
        raise prospect.failure()

    def _wait(self, prospect: NameChallenges, task: ChallengeAttempt) -> ChallengeAttempt:
        while True:
            try:
                task.solver.wait(task.challenge, self._deadline)
            except ChallengeError as error:
                self._pass_over(prospect, task, error)
                task = self._present(prospect)
                self._describe([prospect], [task])
            else:
                return task

    def _pass_over(
        self, prospect: NameChallenges, task: ChallengeAttempt, error: ChallengeError
    ) -> None:
        prospect.give_up(task, error)
        if prospect.tasks:
            logger.warning(
                "challenge passed over name=%s kind=%s next=%s reason=%s",
                prospect.name,
                task.challenge.type,
                prospect.tasks[0].challenge.type,
                error.message,
            )

    def _describe(
        self, prospects: Sequence[NameChallenges], tasks: Sequence[ChallengeAttempt]
    ) -> None:
        """Say which names are proven by what; the usual ways together, the others with reasons."""
        names: dict[tuple[str, str], list[str]] = {}
        for prospect, task in zip(prospects, tasks, strict=True):
            names.setdefault((task.challenge.type, prospect.reason), []).append(prospect.name)
        for (kind, reason), some in names.items():
            why = f" ({reason})" if reason else ""
            self._tell(f"proving control of {clean(', '.join(some), LONGEST_NAMES)} by {kind}{why}")
