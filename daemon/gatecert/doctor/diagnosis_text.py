"""The diagnosis for people: what is not well, in the order in which to fix it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatecert.doctor import codes
from gatecert.doctor.finding import Severity
from gatecert.doctor.report import count
from gatecert.report.terminal import Style

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from gatecert.doctor.checks import Result
    from gatecert.doctor.finding import Finding
    from gatecert.report.terminal import Terminal

MARKS: Final = {
    Severity.OK: ("✓", Style.GREEN),
    Severity.NOTE: ("·", None),
    Severity.WARNING: ("!", Style.YELLOW),
    Severity.FAILURE: ("✗", Style.RED),
}

# Notes that say why there is no trusted certificate yet; the others only inform.
EXPLANATIONS: Final = {
    each.name
    for each in (
        codes.BOOTSTRAP_YOUNG,
        codes.DEPLOYMENT_PENDING,
        codes.ORDER_PENDING,
        codes.REGION_EXCLUDED,
        codes.REQUEST_PENDING,
    )
}
NARROW: Final = 60  # columns; with fewer, the texts do not align


def diagnosis_text(
    results: Sequence[Result], terminal: Terminal, *, everything: bool = False
) -> list[str]:
    """Return the findings as lines, those of the machine before those of each gateway.

    Args:
        results: All findings, in order.
        terminal: Where the lines are shown.
        everything: Show what is well, too.
    """
    failing = {each.finding.gateway for each in results if each.finding.fails}
    shown = [each for each in results if everything or _is_shown(each.finding, failing)]
    width = max((len(each.check) for each in shown), default=0)
    lines: list[str] = []
    heading: str | None = None
    for each in shown:
        if each.finding.gateway != heading:
            heading = each.finding.gateway
            lines += [""] * bool(lines)
            lines.append(terminal.styled(heading or "this machine", Style.BOLD))
        lines += _finding(each, width, terminal)
    hidden = [each for each in results if not everything and not _is_shown(each.finding, failing)]
    return [*lines, *([""] * bool(lines)), *_summary(results, hidden, terminal)]


def _is_shown(finding: Finding, failing: Collection[str]) -> bool:
    """Return whether a finding is a problem, or explains what no failure of its gateway does."""
    is_problem = finding.severity in {Severity.WARNING, Severity.FAILURE}
    return is_problem or (finding.code in EXPLANATIONS and finding.gateway not in failing)


def _finding(result: Result, width: int, terminal: Terminal) -> Iterator[str]:
    finding = result.finding
    mark, style = MARKS[finding.severity]
    first = f"  {terminal.styled(mark, style)} {result.check:<{width}}  "
    rest = None
    if terminal.width is not None and terminal.width < NARROW:
        first, rest = f"{terminal.styled(mark, style)} {result.check}: ", "  "
    if finding.severity is Severity.OK:
        yield from terminal.wrap(finding.seen, first=first, rest=rest)
        return
    code = terminal.styled(f"[{finding.code}]", style)
    yield from terminal.wrap(f"{finding.seen} {code}", first=first, rest=rest)
    indent = rest if rest is not None else " " * (width + 6)
    for line in terminal.wrap(finding.meaning, first=indent):
        yield indent + terminal.styled(line.removeprefix(indent), Style.DIM)
    if finding.fix:
        yield from terminal.wrap(finding.fix, first=f"{indent}→ ")


def _summary(
    results: Sequence[Result], hidden: Sequence[Result], terminal: Terminal
) -> Iterator[str]:
    found = count(results)
    counted = ((found[each], str(each)) for each in (Severity.FAILURE, Severity.WARNING))
    yield ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for number, word in counted)
    if not hidden:
        return
    notes = count(hidden)[Severity.NOTE]
    other = "other " if len(hidden) < len(results) else ""
    noted = f", {notes} with a note" if notes else ""
    checks = "check" if len(hidden) == 1 else "checks"
    yield from terminal.wrap(f"{len(hidden)} {other}{checks} passed{noted} (--all shows them)")
