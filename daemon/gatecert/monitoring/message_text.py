"""The words of a message to a receiver, and the JSON of a webhook. Pure.

All words are cleaned and cut: parts of them come from CAs, servers and name servers. The title is
one line. The first line of the text says everything that a text message has room for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gatecert.errors import clean
from gatecert.model import Event, Severity
from gatecert.monitoring.notification_state import Part, Told

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA: Final = 1
PAGE: Final = "file:///usr/share/doc/gatecert/docs/notifications.md#what-is-told"
LONGEST_TITLE: Final = 120  # characters
LONGEST_LINE: Final = 500
MOST_NAMED: Final = 5  # gateways in the title
MOST_SHOWN: Final = 20  # events in the text
MOST_EVENTS: Final = 200  # in the JSON
ORDER: Final = (Severity.CRITICAL, Severity.WARNING)


@dataclass(frozen=True, slots=True)
class Said:
    """Statement of a message about a problem."""

    part: Part
    told: Told

    @property
    def rank(self) -> tuple[bool, int, bool, str, str]:
        """The place in the message: the worst first, what is over last."""
        one = self.told
        place = ORDER.index(one.severity)
        return (
            self.part is Part.RECOVERED,
            place,
            self.part is Part.REMINDER,
            one.gateway,
            one.event,
        )


def document(said: Sequence[Said], identifier: str, host: str, now: datetime) -> dict[str, object]:
    """Return a message as the JSON of a webhook, which has its title and text, too.

    Args:
        said: What it says; not empty.
        identifier: The id of the message.
        host: The name of this machine.
        now: The current time.
    """
    ordered = sorted(said, key=lambda each: each.rank)
    return {
        "schema": SCHEMA,
        "id": identifier,
        "time": _time(now),
        "host": clean(host, 255),
        "severity": _worst(ordered),
        "title": title(ordered),
        "text": text(ordered, host),
        "events": [_event(each) for each in ordered[:MOST_EVENTS]],
        "more": max(0, len(ordered) - MOST_EVENTS),
    }


def trial_document(identifier: str, host: str, now: datetime) -> dict[str, object]:
    """Return the message of ``gatecert notify --test``."""
    return {
        "schema": SCHEMA,
        "id": identifier,
        "time": _time(now),
        "host": clean(host, 255),
        "severity": Severity.WARNING,
        "title": clean(f"gatecert: test message of {host}", LONGEST_TITLE),
        "text": f"gatecert on {clean(host, 255)} sends its notifications here. Nothing is wrong.",
        "events": [],
        "more": 0,
    }


def title(ordered: Sequence[Said]) -> str:
    """Return one line that names the gateways and says how bad it is."""
    wrong = [each for each in ordered if each.part is not Part.RECOVERED]
    names = _names(wrong or ordered)
    if not wrong:
        return clean(f"gatecert: recovered: {names}", LONGEST_TITLE)
    again = "still " if all(each.part is Part.REMINDER for each in wrong) else ""
    if len(wrong) == 1:
        one = wrong[0].told
        return clean(f"gatecert: {again}{one.severity}: {one.gateway}: {one.text}", LONGEST_TITLE)
    return clean(f"gatecert: {again}{_counts(wrong)}: {names}", LONGEST_TITLE)


def text(ordered: Sequence[Said], host: str) -> str:
    """Return all lines, the first of which is a summary."""
    wrong = [each for each in ordered if each.part is not Part.RECOVERED]
    over = len(ordered) - len(wrong)
    counts = [_counts(wrong)] * bool(wrong) + [f"{over} recovered"] * bool(over)
    lines = [clean(f"{', '.join(counts)} on {host}: {_names(ordered)}", 160), ""]
    for each in ordered[:MOST_SHOWN]:
        lines += _lines(each)
    if len(ordered) > MOST_SHOWN:
        lines += [f"... and {len(ordered) - MOST_SHOWN} more; see them all: gatecert status"]
    return "\n".join(lines)


def _lines(said: Said) -> list[str]:
    one = said.told
    if said.part is Part.RECOVERED:
        return [clean(f"recovered: {one.gateway}: no longer {one.event}: {one.text}", LONGEST_LINE)]
    still = "still " if said.part is Part.REMINDER else ""
    since = f" (since {_time(one.since)})" if still else ""
    lines = [
        clean(f"{still}{one.severity}: {one.gateway}: {one.event}: {one.text}{since}", LONGEST_LINE)
    ]
    if one.fix:
        lines.append(f"    to do: {clean(one.fix, LONGEST_LINE)}")
    return lines


def _event(said: Said) -> dict[str, object]:
    one = said.told
    is_over = said.part is Part.RECOVERED
    return {
        "event": Event.RECOVERED if is_over else one.event,
        "of": one.event,
        "reminder": said.part is Part.REMINDER,
        "gateway": clean(one.gateway, 255),
        "severity": one.severity,
        "text": clean(one.text),
        "fix": "" if is_over else clean(one.fix),
        "code": clean(one.code, 100),
        "since": _time(one.since),
        "url": PAGE,
    }


def _worst(said: Sequence[Said]) -> Severity:
    return min((each.told.severity for each in said), key=ORDER.index)


def _counts(said: Sequence[Said]) -> str:
    found = [(sum(each.told.severity is one for each in said), one) for one in ORDER]
    return ", ".join(f"{number} {severity}" for number, severity in found if number)


def _names(said: Sequence[Said]) -> str:
    names = list(dict.fromkeys(each.told.gateway for each in said))
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
