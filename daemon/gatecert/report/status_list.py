"""The status of many gateways for people: one line each, problems first. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatecert import container
from gatecert.report.attention import Level, advice, fact, level
from gatecert.report.fleet_lines import fleet_lines
from gatecert.report.monitoring_status import NOT_MONITORED, MonitoringStatus
from gatecert.report.terminal import Style, cells, pad

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from gatecert.report.gateway_status import GatewayStatus
    from gatecert.report.terminal import Terminal

SYMBOLS: Final = {
    Level.FAILED: ("✗", Style.RED),
    Level.WARNING: ("!", Style.YELLOW),
    Level.NEUTRAL: ("·", Style.YELLOW),
    Level.GOOD: ("✓", Style.GREEN),
}
GAP: Final = "  "
LEAST_FACT: Final = 28  # columns; with fewer, the fact goes below the name
MOST_FACT_LINES: Final = 3  # `status NAME` shows the rest


def status_list(
    statuses: Sequence[GatewayStatus],
    daemon: int | None,
    now: datetime,
    terminal: Terminal,
    monitoring: MonitoringStatus = NOT_MONITORED,
) -> list[str]:
    """Return the head line and the gateways, those that need a person first.

    Args:
        statuses: One for each gateway.
        daemon: Process id of the daemon, if it runs.
        now: Current time.
        terminal: Where the lines are shown.
        monitoring: How metrics, page and notifications are.
    """
    levels = {one.name: level(one) for one in statuses}
    lines = list(_head(list(levels.values()), daemon, terminal))
    lines += monitoring_lines(monitoring, terminal)
    for line in fleet_lines(statuses):
        lines += terminal.wrap(line, first="fleet  ")
    lines.append("")
    columns = _Columns(statuses, terminal)
    for one in sorted(statuses, key=lambda one: levels[one.name]):
        lines += columns.row(one, levels[one.name], now)
    return lines


def monitoring_lines(monitoring: MonitoringStatus, terminal: Terminal) -> list[str]:
    """Return what does not work of metrics, page and notifications, and what to do."""
    symbol, style = SYMBOLS[Level.WARNING]
    marked = terminal.styled(terminal.plain(symbol), style)
    lines = []
    for what, fix in monitoring.problems:
        lines += terminal.wrap(what, first=f"{marked} ")
        if fix:
            lines += terminal.wrap(fix, first=f"{GAP}→ ")
    return lines


def daemon_words(daemon: int | None) -> str:
    """Return whether the daemon runs."""
    return "not running" if daemon is None else f"running (process {daemon})"


def daemon_advice() -> str:
    """Return how to start the daemon."""
    return container.fix_for(
        host="nothing is renewed until it runs: systemctl start gatecert, or gatecert run",
        container="nothing is renewed until it runs: start the container that runs gatecert run",
    )


def _head(levels: Sequence[Level], daemon: int | None, terminal: Terminal) -> Iterator[str]:
    styles = (Style.BOLD, Style.RED if daemon is None else None)
    daemon_text = terminal.styled(f"daemon {daemon_words(daemon)}", *styles)
    yield from terminal.wrap(f"{terminal.styled(count_words(levels), Style.BOLD)} · {daemon_text}")
    if daemon is None:
        yield from terminal.wrap(daemon_advice(), first="→ ")


def count_words(levels: Sequence[Level]) -> str:
    """Return how many gateways need a person."""
    total, needy = len(levels), sum(each.needs_a_person for each in levels)
    is_well = all(each is Level.GOOD for each in levels)
    match total, needy:
        case 0, _:
            return "no gateways configured"
        case 1, 0:
            return f"1 gateway, {'which is well' if is_well else 'which does not need you'}"
        case _, 0:
            return f"all {total} gateways are well" if is_well else f"none of {total} needs you"
        case _:
            return f"{needy} of {total} {'needs' if needy == 1 else 'need'} you"


class _Columns:
    """The columns of the list: name, state, fact."""

    def __init__(self, statuses: Sequence[GatewayStatus], terminal: Terminal) -> None:
        self._terminal = terminal
        most = terminal.width // 3 if terminal.width is not None else None
        names = [cells(one.name) for one in statuses]
        self._name = max((each for each in names if most is None or each <= most), default=0)
        self._state = max((cells(one.state) for one in statuses), default=0)

    def row(self, one: GatewayStatus, how: Level, now: datetime) -> Iterator[str]:
        """Return the lines of one gateway."""
        terminal = self._terminal
        symbol, style = SYMBOLS[how]
        marked = terminal.styled(terminal.plain(symbol), style)
        name = terminal.styled(one.name, Style.BOLD) + " " * (self._name - cells(one.name))
        begin = f"{marked} {name}{GAP}{terminal.styled(pad(one.state, self._state), style)}"
        told, indent = fact(one, now), " " * (cells(begin) + len(GAP))
        if terminal.fits(f"{begin}{GAP}{told}"):
            yield f"{begin}{GAP}{terminal.plain(told)}".rstrip()
        elif terminal.width is not None and terminal.width - len(indent) >= LEAST_FACT:
            yield from self._limited(terminal.wrap(told, first=begin + GAP))
        else:
            indent = GAP
            yield begin.rstrip()
            yield from self._limited(terminal.wrap(told, first=indent))
        to_do = advice(one)
        if to_do:
            yield from terminal.wrap(to_do, first=f"{indent}→ ")

    def _limited(self, lines: list[str]) -> list[str]:
        """Return no more lines than a list bears, with … if some are left out."""
        if len(lines) <= MOST_FACT_LINES:
            return lines
        kept = lines[:MOST_FACT_LINES]
        return [*kept[:-1], self._terminal.with_ellipsis(kept[-1])]
