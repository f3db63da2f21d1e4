"""Reported: the outcome of a pass, and the progress until then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from gatecert.outcome_kinds import FAILURES, OutcomeKind, Stage, Wait


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a pass over one gateway.

    Attributes:
        detail: One line for the operator.
        code: The error's stable code, empty without an error.
        fix: What the operator can do, empty if nothing.
        next_action: The next action, in words.
        next_at: Its time; None where only a person or an event helps.
        wake_at: When the next pass is due, not after ``next_at``.
        seconds: Duration of the pass.
    """

    gateway: str
    at: datetime
    kind: OutcomeKind
    detail: str
    code: str = ""
    fix: str = ""
    next_action: str = ""
    next_at: datetime | None = None
    wake_at: datetime | None = None
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """True if the pass failed or was rolled back."""
        return self.kind in FAILURES

    @property
    def settled(self) -> bool:
        """True if nothing is left for an operator to do."""
        return not self.failed and (not self.code or self.kind is OutcomeKind.DEPLOYED)


Message: TypeAlias = str | Wait


class Progress(Protocol):
    """A callback for the progress of a pass, one line for the operator each.

    Waits are shown on a terminal only, not written to logs and files.
    """

    def __call__(self, gateway: str, stage: Stage, message: Message) -> None:
        """Report that ``gateway`` is in ``stage``."""
        ...
