"""A receiver of notifications that plays every fault, and keeps what has arrived."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from gatecert.monitoring.delivery_answer import Answer

if TYPE_CHECKING:
    from gatecert.model import ReceiverPlan
    from gatecert.monitoring.notification_state import Outgoing


class Fate(Enum):
    """Result of an attempt."""

    ACCEPTED = auto()
    REFUSED = auto()
    LOST = auto()  # nothing arrives, nobody knows
    PARTIAL = auto()  # one of two URLs accepts it
    UNANSWERED = auto()  # it arrives, nobody knows
    CRASH_BEFORE = auto()  # of the monitor
    CRASH_AFTER = auto()


class CrashError(BaseException):
    """The monitor ends here."""


@dataclass
class Notified:
    """Implements ``Deliver``."""

    fates: list[Fate] = field(default_factory=list)
    arrived: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)

    async def __call__(self, plan: ReceiverPlan, message: Outgoing) -> Answer:
        del plan
        fate = self.fates.pop(0) if self.fates else Fate.ACCEPTED
        self.attempts.append(message.id)
        if fate is Fate.CRASH_BEFORE:
            raise CrashError
        if fate in {Fate.ACCEPTED, Fate.PARTIAL, Fate.UNANSWERED, Fate.CRASH_AFTER}:
            self.arrived.append(message.document)
        if fate is Fate.CRASH_AFTER:
            raise CrashError
        return Answer(
            accepted=fate is Fate.ACCEPTED,
            problem="" if fate is Fate.ACCEPTED else "it does not work",
            fix="" if fate is Fate.ACCEPTED else "repair it",
            refused=fate is Fate.REFUSED,
            urls=("ab",) if fate is Fate.PARTIAL else (),
        )

    @property
    def titles(self) -> list[str]:
        return [str(each["title"]) for each in self.arrived]

    @property
    def said(self) -> list[tuple[str, str, str]]:
        """Statements of the messages, each once: the id, the gateway, the event."""
        known = {str(each["id"]): each for each in self.arrived}
        return [
            (identifier, str(event["gateway"]), str(event["event"]))
            for identifier, each in known.items()
            for event in each["events"]
        ]
