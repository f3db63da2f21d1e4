"""Reported: the outcome of a pass, and the progress until then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol, TypeAlias

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


@dataclass(frozen=True, slots=True)
class PastOutcome:
    """An outcome that was reported, or several in a row that differ in their times only.

    Attributes:
        at: The last of them.
        detail: One line, cut to `LONGEST_PAST_DETAIL`.
        since: The first of them.
        times: How many there were.
    """

    at: datetime
    kind: OutcomeKind
    detail: str
    code: str
    since: datetime
    times: int = 1


MOST_PAST_OUTCOMES: Final = 8
LONGEST_PAST_DETAIL: Final = 200  # characters


def with_outcome(history: tuple[PastOutcome, ...], new: Outcome) -> tuple[PastOutcome, ...]:
    """Return a history, the latest first, with an outcome added."""
    detail = new.detail[:LONGEST_PAST_DETAIL]
    last = history[0] if history else None
    if last is not None and (last.kind, last.code, last.detail) == (new.kind, new.code, detail):
        return (replace(last, at=new.at, times=last.times + 1), *history[1:])
    added = PastOutcome(new.at, new.kind, detail, new.code, new.at)
    return (added, *history[: MOST_PAST_OUTCOMES - 1])


Message: TypeAlias = str | Wait


class Progress(Protocol):
    """A callback for the progress of a pass, one line for the operator each.

    Waits are shown on a terminal only, not written to logs and files.
    """

    def __call__(self, gateway: str, stage: Stage, message: Message) -> None:
        """Report that ``gateway`` is in ``stage``."""
        ...
