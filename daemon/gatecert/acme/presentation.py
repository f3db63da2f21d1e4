"""Present a response for each name of an order, by the first challenge type that works.

A type that cannot be presented here (its port is taken, a nameserver refuses the update) is skipped
in favour of the next one: the CA has not been notified yet, so that costs nothing. All
responses are presented before any is waited for, since DNS records take time to propagate.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from gatecert.challenge.solver import Challenge, SlowSolver, Solver
from gatecert.errors import ChallengeError, FailedAttempt, clean
from gatecert.model import Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatecert.deadline import Deadline
    from gatecert.model import Message

logger = logging.getLogger(__name__)

MAX_NAMES_LENGTH = 200


@dataclass(frozen=True, slots=True)
class ChallengeAttempt:
    """A challenge and its solver.

    Attributes:
        notified: An interrupted attempt has already asked the CA to validate.
    """

    challenge: Challenge
    solver: Solver
    url: str
    notified: bool


@dataclass(slots=True)
class NameChallenges:
    """One name and the challenges left to try for it, best first.

    Attributes:
        reason: Why the first challenge is not the one configured first; empty where it is.
        errors: Why challenges were skipped, in order.
        failures: `errors` as data.
    """

    name: str
    attempts: deque[ChallengeAttempt]
    reason: str = ""
    errors: list[ChallengeError] = field(default_factory=list)
    failures: list[FailedAttempt] = field(default_factory=list)

    def record_failure(self, attempt: ChallengeAttempt, error: ChallengeError) -> None:
        """Remember that a challenge could not be presented."""
        self.errors.append(error)
        self.failures.append(FailedAttempt(self.name, attempt.challenge.type, error.message))
        self.reason = "; ".join(
            f"{each.kind} cannot be presented: {each.reason}" for each in self.failures
        )

    def error(self) -> ChallengeError:
        """Build the error to raise when no challenge is left."""
        error = self.errors[0] if len(self.errors) == 1 else self._all_failures()
        error.attempts = tuple(self.failures)
        return error

    def _all_failures(self) -> ChallengeError:
        reasons = "; ".join(f"{each.kind}: {each.reason}" for each in self.failures)
        return ChallengeError(
            f"no challenge can be presented for {self.name}: {reasons}", fix=self.errors[0].fix
        )


class Presentation:
    """Responses that stay in place while this context is open.

    Args:
        deadline: When to stop waiting for responses to become visible.
        tell: Receives progress messages for the operator.
    """

    def __init__(self, deadline: Deadline, tell: Callable[[Message], None]) -> None:
        self._deadline = deadline
        self._tell = tell
        self._presented = ExitStack()
        self.failures: list[FailedAttempt] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._presented.close()

    def present_all(self, names: Sequence[NameChallenges]) -> list[ChallengeAttempt]:
        """Present a response for each name and wait until the CA can see it.

        Raises:
            ChallengeError: No challenge of some name can be presented.
        """
        try:
            attempts = [self._present(name) for name in names]
            self._announce(names, attempts)
            return [
                self._wait(name, attempt) for name, attempt in zip(names, attempts, strict=True)
            ]
        finally:
            self.failures += [failure for name in names for failure in name.failures]

    def _present(self, name: NameChallenges) -> ChallengeAttempt:
        while name.attempts:
            attempt = name.attempts.popleft()
            try:
                attempt.solver.present(attempt.challenge)
            except ChallengeError as error:
                self._skip(name, attempt, error)
                continue
            self._presented.callback(attempt.solver.clean_up, attempt.challenge)
            return attempt
        raise name.error()

    def _wait(self, name: NameChallenges, attempt: ChallengeAttempt) -> ChallengeAttempt:
        while True:
            try:
                if isinstance(attempt.solver, SlowSolver):
                    self._tell_visibility(attempt.solver, attempt.challenge)
                attempt.solver.wait(attempt.challenge, self._deadline)
            except ChallengeError as error:
                self._skip(name, attempt, error)
                attempt = self._present(name)
                self._announce([name], [attempt])
            else:
                return attempt

    def _tell_visibility(self, solver: SlowSolver, challenge: Challenge) -> None:
        seconds = solver.seconds_until_visible()
        if seconds is not None:
            reason = f"all nameservers to answer with the record for {challenge.identifier}"
            self._tell(Wait(reason, self._deadline.within(seconds)))

    def _skip(self, name: NameChallenges, attempt: ChallengeAttempt, error: ChallengeError) -> None:
        name.record_failure(attempt, error)
        if name.attempts:
            logger.warning(
                "challenge skipped name=%s kind=%s next=%s reason=%s",
                name.name,
                attempt.challenge.type,
                name.attempts[0].challenge.type,
                error.message,
            )

    def _announce(
        self, names: Sequence[NameChallenges], attempts: Sequence[ChallengeAttempt]
    ) -> None:
        """Say which challenge proves which names, grouped by challenge type and reason."""
        groups: dict[tuple[str, str], list[str]] = {}
        for name, attempt in zip(names, attempts, strict=True):
            groups.setdefault((attempt.challenge.type, name.reason), []).append(name.name)
        for (kind, reason), some in groups.items():
            why = f" ({reason})" if reason else ""
            listed = clean(", ".join(some), MAX_NAMES_LENGTH)
            self._tell(f"proving control of {listed} by {kind}{why}")
