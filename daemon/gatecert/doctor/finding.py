"""The codes of the doctor, which never change, and the findings that carry them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from gatecert import container


class Severity(StrEnum):
    """The severity of a finding, in ascending order."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """A result of a check.

    Attributes:
        code: Stable, for programs; docs/doctor.md lists all codes.
        gateway: The gateway's name; empty for the machine and the authorities.
        seen: The observation, one line.
        meaning: What it means for the gateway, one line.
        fix: What to do, one line; empty if nothing.
        recheck_after: Set if the finding is certain to make an order fail, which holds orders back:
            time until the next check.
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
        """True if the finding is a failure."""
        return self.severity is Severity.FAILURE


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding.

    Attributes:
        fix: What to do, if that does not depend on the observation.
        recheck_after: As in `Finding`.
        fix_in_container: Replaces ``fix`` inside a container; empty for the same.
    """

    name: str
    severity: Severity
    meaning: str
    fix: str = ""
    recheck_after: timedelta | None = None
    fix_in_container: str = ""

    def found(self, seen: str, *, gateway: str = "", fix: str = "") -> Finding:
        """Return a finding of this kind.

        Args:
            seen: The observation.
            gateway: The gateway's name.
            fix: Replaces the general fix.
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
