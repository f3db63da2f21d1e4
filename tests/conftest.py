"""Reports of all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Show why tests were repeated: the second attempt hides it."""
    repeated = terminalreporter.stats.get("rerun", [])
    if repeated:
        terminalreporter.section("why tests were repeated")
    for report in repeated:
        terminalreporter.write_line(f"{report.nodeid}\n{report.longreprtext}\n")
