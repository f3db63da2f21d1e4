"""The content of the status page, as values for its templates. Pure.

Words come from `gatecert.report.attention` and `gatecert.report.status_details`, so that the page
says what ``gatecert status`` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from gatecert.monitoring.timeline import Mark, Timeline, marks, timeline
from gatecert.outcome_kinds import FAILURES
from gatecert.report.attention import SELF_SIGNED, Level, advice, fact, level
from gatecert.report.fleet_lines import report_problems
from gatecert.report.status_details import detail_rows
from gatecert.report.status_list import count_words, daemon_advice, daemon_words
from gatecert.time_format import ago, instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gatecert.monitoring.overview import Overview
    from gatecert.report.gateway_status import GatewayStatus

LONGEST_SHORT: Final = 240  # characters of a fact or advice in the list
LONGEST: Final = 2_000  # characters of a text about one gateway
MOST_WITH_HISTORY: Final = 50  # gateways in a list that shows the last outcomes of each
MOST_UNREADABLE: Final = 5  # gateways that the head names
CLASSES: Final = {Level.FAILED: "f", Level.WARNING: "w", Level.NEUTRAL: "n", Level.GOOD: "g"}


@dataclass(frozen=True, slots=True)
class Filter:
    """The choice of the reader: gateways that contain every word, or need a person."""

    text: str = ""
    needy: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filter:
        """Return what the form of the page has sent."""
        return cls(query.get("q", "").strip()[:LONGEST_SHORT], query.get("needs", "") == "1")

    def allows(self, row: Row) -> bool:
        """Return whether a gateway is shown."""
        if self.needy and not row.how.needs_a_person:
            return False
        return not self.text or all(word in row.searched for word in self.text.casefold().split())


@dataclass(frozen=True, slots=True)
class Past:
    """An outcome of the history."""

    when: str
    at: str
    kind: str
    failed: bool
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """A gateway in the list."""

    how: Level
    name: str
    hostname: str
    state: str
    fact: str
    advice: str
    timeline: Timeline | None
    is_self_signed: bool
    issuer: str
    history: tuple[Past, ...] = ()

    @property
    def css(self) -> str:
        """The class of its element."""
        return CLASSES[self.how]

    @property
    def searched(self) -> str:
        """The text in which the filter looks."""
        parts = (self.name, self.hostname, self.state, self.fact, self.advice, self.issuer)
        return "\n".join(parts).casefold()


@dataclass(frozen=True, slots=True)
class Head:
    """The begin of the page.

    Attributes:
        count: How many gateways need a person.
        worst: The class of the worst gateway.
        unknown: Gateways that were not described yet.
        problems: What else does not work, each with a fix or an empty text.
    """

    count: str
    worst: str
    daemon: str
    daemon_fix: str
    as_of: str
    unknown: int
    problems: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class GroupOfRows:
    """Gateways of the list below one heading."""

    id: str
    heading: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class ListView:
    """The page of all gateways."""

    number: int
    head: Head
    groups: Sequence[GroupOfRows]
    total: int
    shown: int
    filter: Filter


@dataclass(frozen=True, slots=True)
class GatewayView:
    """The page of one gateway."""

    number: int
    head: Head
    row: Row
    words: str
    marks: Sequence[Mark]
    details: Mapping[str, Sequence[str]]
    history: Sequence[Past] = field(default_factory=tuple)


def head(overview: Overview, statuses: Sequence[GatewayStatus], now: datetime) -> Head:
    """Return the begin of the page."""
    levels = [level(one) for one in statuses]
    return Head(
        count=count_words(levels),
        worst=CLASSES[min(levels, default=Level.NEUTRAL)],
        daemon=daemon_words(overview.daemon),
        daemon_fix=daemon_advice() if overview.daemon is None else "",
        as_of=instant(now),
        unknown=len(overview.order) - len(statuses),
        problems=tuple(_problems(overview, now)),
    )


def row(one: GatewayStatus, now: datetime, *, with_history: bool = False) -> Row:
    """Return what the list shows of a gateway."""
    how = level(one)
    return Row(
        how=how,
        name=one.name,
        hostname=cut(one.hostname),
        state=one.state,
        fact=cut(fact(one, now)),
        advice=cut(advice(one)) if how.needs_a_person else "",
        timeline=timeline(one, now),
        is_self_signed=one.state in SELF_SIGNED,
        issuer=one.issuer,
        history=tuple(_history(one, now)) if with_history else (),
    )


def grouped(rows: Sequence[Row]) -> list[GroupOfRows]:
    """Return the rows below headings, those that need a person first, the worst before others."""
    ordered = sorted(rows, key=attrgetter("how"))
    others = "Need nothing" if ordered and ordered[0].how.needs_a_person else "Gateways"
    return [
        GroupOfRows(*(("needy", "Need you") if needy else ("others", others)), tuple(found))
        for needy, found in groupby(ordered, key=lambda each: each.how.needs_a_person)
    ]


def gateway_view(overview: Overview, one: GatewayStatus, top: Head, now: datetime) -> GatewayView:
    """Return the page of one gateway."""
    details: dict[str, list[str]] = {}
    told, last = set(), ""
    for label, text in detail_rows(one, now):
        last = label or last
        if text and text not in told:
            told.add(text)
            details.setdefault(last, []).append(cut(text, LONGEST))
    return GatewayView(
        number=overview.number,
        head=top,
        row=row(one, now),
        words=cut(one.words.removeprefix(f"{one.state} "), LONGEST),
        marks=marks(one, now),
        details=details,
        history=tuple(_history(one, now)),
    )


def cut(text: str, longest: int = LONGEST_SHORT) -> str:
    """Return a text that is not longer than this."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _problems(overview: Overview, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield what does not work besides certificates, and the fix."""
    for name, problem in islice(overview.unreadable.items(), MOST_UNREADABLE):
        yield cut(f"{name}: its status cannot be read: {problem}"), ""
    if overview.fleet is not None:
        for what, fix in report_problems(overview.fleet, now):
            yield cut(what), cut(fix)
    for what, fix in overview.monitoring.problems:
        yield cut(what), cut(fix)


def _history(one: GatewayStatus, now: datetime) -> Iterator[Past]:
    for each in one.history:
        times = f", {each.times} times since {instant(each.since)}" if each.times > 1 else ""
        code = f" [{each.code}]" if each.code else ""
        yield Past(
            when=ago(each.at, now),
            at=instant(each.at),
            kind=each.kind,
            failed=each.kind in FAILURES,
            words=cut(each.detail) + code + times,
        )
