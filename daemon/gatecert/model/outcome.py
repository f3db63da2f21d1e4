"""Reported: how a pass ended, and what is told while it lasts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class OutcomeKind(StrEnum):
    """How a pass ended."""

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
    """How a pass over one gateway ended.

    Attributes:
        detail: One line in words.
        code: The error's stable code, empty when nothing failed.
        fix: What the operator can do, empty when nothing needs doing.
        next_action: What comes next, in words.
        next_at: When; None where only a person or an event can move things on.
        wake_at: When the gateway wants to be looked at again, not after ``next_at``.
        seconds: How long the pass took.
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
        """Whether an operator would call this a failure."""
        return self.kind in {OutcomeKind.FAILED, OutcomeKind.ROLLED_BACK}

    @property
    def settled(self) -> bool:
        """Whether nothing is left that an operator has to see to."""
        return not self.failed and (not self.code or self.kind is OutcomeKind.DEPLOYED)


class Stage(StrEnum):
    """The stages an operator sees go by."""

    RESOLVE = "resolve"
    CHECK = "check"
    ORDER = "order"
    INSTALL = "install"
    VERIFY = "verify"


class Progress(Protocol):
    """Called as a pass goes along, with one line for the operator."""

    def __call__(self, gateway: str, stage: Stage, message: str) -> None:
        """Tell that ``gateway`` is in ``stage``."""
        ...
