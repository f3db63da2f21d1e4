"""The kinds of outcomes, the stages of a pass, and its waits.

The daemon's core needs these alone of all values; ``gatecert.model`` has the rest, and these too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


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


FAILURES: Final = frozenset({OutcomeKind.FAILED, OutcomeKind.ROLLED_BACK})


class Stage(StrEnum):
    """The stages shown to an operator."""

    LOCK = "lock"
    RESOLVE = "resolve"
    CHECK = "check"
    ORDER = "order"
    INSTALL = "install"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class Wait:
    """The wait of a pass from now on, until its next message.

    Attributes:
        reason: Completes "waiting for …".
        seconds: The longest time from now; None if there is no limit.
    """

    reason: str
    seconds: float | None = None

    def __str__(self) -> str:
        """Return the wait in words."""
        limit = f", at most {self.seconds:.0f} s" if self.seconds is not None else ""
        return f"waiting for {self.reason}{limit}"
