"""Run ``make fleet``: measure a fleet's database and its hosts, and fail if a target is missed."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench import fleet_database, fleet_issuance
from bench.figures import Report
from bench.page import PAGE, write_page
from bench.scene import Sizes, measured
from harness.pebble import BINARIES
from harness.postgres import postgres_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.scene import Family

FAMILIES: Mapping[str, Family] = {
    "database": fleet_database.database,
    "issuance": fleet_issuance.issuance,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Take all measurements; return 1 if one misses its target, or could not be taken."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="make fleet", description="Measure a fleet.")
    parser.add_argument("--small", action="store_true", help="try it with a small fleet")
    parser.add_argument(
        "--write-page", action="store_true", help="write the table to docs/performance.md"
    )
    options = parser.parse_args(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    sizes = Sizes(names=5000, issued=32) if options.small else Sizes()
    versions = {
        "PostgreSQL": Path(postgres_program("initdb")).parents[1].name,
        "Pebble": (BINARIES / "version").read_text("utf-8").strip(),
    }
    report = Report({}, versions)
    with tempfile.TemporaryDirectory(prefix="gatecert-bench-") as directory:
        for name, family in FAMILIES.items():
            console.print(f"{name}:")
            report.groups[name] = measured(name, family, Path(directory) / name, console, sizes)
    console.print()
    report.show(console)
    if options.write_page:
        write_page(report, command="make fleet")
        console.print(f"written to {PAGE}")
    return int(any(figure.problem or figure.met is False for figure in report.figures))


if __name__ == "__main__":
    sys.exit(main())
