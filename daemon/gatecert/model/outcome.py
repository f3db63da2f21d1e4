"""Reported: the outcome of a pass, and the progress until then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class OutcomeKind(StrEnum):
    """The kind of outcome of a pass."""

    IDLE = "idle"
    BOOTSTRAPPED = "bootstrapped"
    WAITING = "waiting"
    ENROLLED = "enrolled"
    RENEWED = "renewed"
    IMPORTED = "imported"
    DEPLOYED = "deployed"
    SKIPPED = "skipped"
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"


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
        return self.kind in {OutcomeKind.FAILED, OutcomeKind.ROLLED_BACK}

    @property
    def settled(self) -> bool:
        """True if nothing is left for an operator to do."""
        return not self.failed and (not self.code or self.kind is OutcomeKind.DEPLOYED)


class Stage(StrEnum):
    """The stages shown to an operator."""

    RESOLVE = "resolve"
    CHECK = "check"
    ORDER = "order"
    INSTALL = "install"
    VERIFY = "verify"


class Progress(Protocol):
    """A callback for the progress of a pass, one line for the operator each."""

    def __call__(self, gateway: str, stage: Stage, message: str) -> None:
        """Report that ``gateway`` is in ``stage``."""
        ...
