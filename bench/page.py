"""The table of figures in docs/performance.md."""

from __future__ import annotations

import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

import psutil

from bench.figures import COLUMNS
from harness.pebble import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from bench.figures import Report

PAGE = PROJECT / "docs" / "performance.md"
BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"
BETWEEN = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)


def write_page(report: Report, page: Path = PAGE) -> None:
    """Replace the table of a page.

    Raises:
        ValueError: The page has no place for it.
    """
    text = page.read_text("utf-8")
    table = "\n".join((BEGIN, "", origin(report), "", *markdown(report), "", END))
    changed, places = BETWEEN.subn(lambda _: table, text)
    if places != 1:
        raise ValueError(f"{page} needs one line {BEGIN!r}, and {END!r} below it")
    page.write_text(changed, "utf-8")


def origin(report: Report) -> str:
    """Say when, where and with which programs the figures were measured."""
    versions = {"gatecert": version("gatecert"), **report.versions}
    programs = ", ".join(f"{name} {each}" for name, each in versions.items())
    memory = psutil.virtual_memory().total / 1e9
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with {programs}, Python "
        f"{platform.python_version()}, {psutil.cpu_count()} processors, {memory:.0f} GB of memory."
    )


def markdown(report: Report) -> list[str]:
    """Return the lines of the table, and below it why a figure is missing."""
    lines = [
        "| " + " | ".join(COLUMNS) + " |",
        "|---|" + "--:|" * (len(COLUMNS) - 1),
        *("| " + " | ".join(figure.cells()) + " |" for figure in report.figures),
    ]
    missing = [figure for figure in report.figures if figure.problem]
    if missing:
        lines.append("")
        lines += [f"- {figure.name}: not measured: {figure.problem}" for figure in missing]
    return lines
