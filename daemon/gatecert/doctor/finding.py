"""What the doctor can say: codes, which stay the same for ever, and findings, which carry them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from gatecert import container


class Severity(StrEnum):
    """How bad a finding is, best first."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        code: Stable, for programs; docs/doctor.md lists them all.
        gateway: Whom it is about; empty for the machine and the authorities.
        seen: What was seen, one line.
        meaning: What that means for the gateway, one line.
        fix: What to do about it, one line; empty when nothing needs doing.
        again: Where it is certain to make an order fail: how long until it is looked at again
            before none is placed; None where orders go on.
    """

    code: str
    severity: Severity
    gateway: str
    seen: str
    meaning: str
    fix: str = ""
    recheck_after: timedelta | None = None

    @property
    def fails(self) -> bool:
        """Whether it is a failure."""
        return self.severity is Severity.FAILURE


@dataclass(frozen=True, slots=True)
class Code:
    """One thing that can be found.

    Attributes:
        fix: What to do about it, where that does not hang on what was seen.
        again: As in `Finding`.
        fix_in_container: In place of ``fix``, where this runs in a container; empty for the same.
    """

    name: str
    severity: Severity
    meaning: str
    fix: str = ""
    recheck_after: timedelta | None = None
    fix_in_container: str = ""

    def found(self, seen: str, *, gateway: str = "", fix: str = "") -> Finding:
        """This, as it was found.

        Args:
            seen: What was seen.
            gateway: Whom it is about.
            fix: In place of the general one.
        """
        general = container.fix_for(host=self.fix, container=self.fix_in_container or self.fix)
        return Finding(
            self.name,
            self.severity,
            gateway,
            seen,
            self.meaning,
            fix or general,
            self.recheck_after,
        )
