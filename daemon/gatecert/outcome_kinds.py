"""The kinds of outcomes and the stages of a pass.

The daemon's core needs these alone of all values; ``gatecert.model`` has the rest, and these too.
"""

from __future__ import annotations

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
