"""The progress of a command as JSON, one object a line; the schema is in docs/enroll.md."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gatecert.cli.output import write_line
from gatecert.cli.progress_lines import QuietLines

if TYPE_CHECKING:
    from gatecert.cli.closing import Closing
    from gatecert.errors import GatecertError
    from gatecert.model import Message, Outcome, Stage

SCHEMA: Final = 1


class ProgressJson(QuietLines):
    """Prints an event a line on standard output; errors go to standard error as well."""

    def __call__(self, gateway: str, stage: Stage, message: Message) -> None:
        """Print a step or a wait."""
        if isinstance(message, str):
            self._event("stage", gateway=gateway, stage=stage, message=message)
            return
        self._event(
            "wait",
            gateway=gateway,
            stage=stage,
            waits_for=message.reason,
            at_most_seconds=message.seconds and round(message.seconds, 3),
        )

    def write(self, line: str) -> None:
        """Print a line of the command itself."""
        self._event("note", message=line)

    def finish(self, outcome: Outcome) -> None:
        """Print the outcome of a gateway's pass."""
        self._event(
            "outcome",
            gateway=outcome.gateway,
            outcome=outcome.kind,
            settled=outcome.settled,
            detail=outcome.detail,
            code=outcome.code or None,
            fix=outcome.fix or None,
            next_action=outcome.next_action or None,
            next_at=outcome.next_at and _rfc3339(outcome.next_at),
            seconds=outcome.seconds,
        )
        super().finish(outcome)

    def refuse(self, gateway: str, error: GatecertError) -> None:
        """Print why a gateway's pass was not run."""
        self._event(
            "error", gateway=gateway, code=error.code, message=error.message, fix=error.fix or None
        )
        super().refuse(gateway, error)

    def interrupt(self, gateway: str, state: str) -> None:
        """Print what an interrupted pass left in place."""
        self._event("interrupted", gateway=gateway, detail=state)
        super().interrupt(gateway, state)

    def close(self, closing: Closing) -> None:
        """Print the last event."""
        self._event(
            "end",
            exit_code=closing.exit_code,
            summary=closing.summary,
            next_step=closing.next_step,
        )

    def _event(self, event: str, **fields: object) -> None:
        line = {"schema": SCHEMA, "event": event, "at": _rfc3339(datetime.now(UTC)), **fields}
        with self._lock:
            write_line(sys.stdout, json.dumps(line))


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
