"""The tables of figures in docs/performance.md: a place for each command that measures some."""

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
END = "<!-- end of figures -->"


def begin(command: str) -> str:
    """Return the line above the figures of a command."""
    return f"<!-- figures: written by `{command}` -->"


def write_page(report: Report, page: Path = PAGE, *, command: str = "make bench") -> None:
    """Replace the table of a page.

    Raises:
        ValueError: The page has no place for it.
    """
    above = begin(command)
    text = page.read_text("utf-8")
    table = "\n".join((above, "", origin(report), "", *markdown(report), "", END))
    between = re.compile(f"{re.escape(above)}\n.*?{re.escape(END)}", re.DOTALL)
    changed, places = between.subn(lambda _: table, text)
    if places != 1:
        raise ValueError(f"{page} needs one line {above!r}, and {END!r} below it")
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
    """Return the lines of the table, and below it why a figure is missing.

    Columns without any figure are left out.
    """
    rows = [COLUMNS, *(tuple(figure.cells()) for figure in report.figures)]
    used = [column for column in zip(*rows, strict=True) if any(column[1:])]
    heading, *figures = zip(*used, strict=True)
    lines = [
        "| " + " | ".join(heading) + " |",
        "|---|" + "--:|" * (len(heading) - 1),
        *("| " + " | ".join(row) + " |" for row in figures),
    ]
    missing = [figure for figure in report.figures if figure.problem]
    if missing:
        lines.append("")
        lines += [f"- {figure.name}: not measured: {figure.problem}" for figure in missing]
    return lines
