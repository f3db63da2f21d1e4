"""Run ``make bench``: measure, print a table, and write ``.cache/bench.json``.

A figure that misses its target, or cannot be measured, is shown; it is no error.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench import adoption, commands, enrolments, idle, monitoring, starts
from bench.caddy_client import caddy_version
from bench.certbot_client import certbot_version
from bench.figures import Report
from bench.page import PAGE, write_page
from bench.scene import Sizes, measured
from harness.pebble import BINARIES, PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.scene import Family

RESULTS = PROJECT / ".cache" / "bench.json"

FAMILIES: Mapping[str, Family] = {
    "idle": idle.one_gateway,
    "listeners": idle.watched_gateways,
    "fleet": idle.large_fleet,
    "burst": enrolments.burst,
    "twenty": starts.twenty,
    "warm": starts.warm,
    "start": starts.from_nothing,
    "status": commands.status,
    "growth": enrolments.growth,
    "adopt": adoption.adopt,
    "monitoring": monitoring.monitoring,
}
LARGEST = 5000


def main(arguments: Sequence[str] | None = None) -> int:
    """Take all measurements, one after the other."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = parser().parse_args(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    versions = {
        "Caddy": caddy_version(),
        "certbot": certbot_version(),
        "Pebble": (BINARIES / "version").read_text("utf-8").strip(),
    }
    report = Report({name: [] for name in FAMILIES}, versions)
    if options.only:
        report.read(options.output)
    with tempfile.TemporaryDirectory(prefix="gatecert-bench-") as directory:
        for name in options.only or FAMILIES:
            started = time.monotonic()
            console.print(f"{name}:")
            found = measured(name, FAMILIES[name], Path(directory) / name, console, sizes(options))
            report.groups[name] = found
            console.print(f"  {time.monotonic() - started:.0f} s")
            report.write(options.output)
    console.print()
    report.show(console)
    console.print(f"\nevery sample: {options.output}")
    if options.write_page:
        write_page(report)
        console.print(f"written to {PAGE}")
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    made = argparse.ArgumentParser(
        prog="make bench", description="Measure gatecert, Caddy and certbot."
    )
    made.add_argument("--runs", type=int, default=5, help="number of samples of quick figures")
    made.add_argument(
        "--window", type=float, default=60.0, help="seconds to observe an idle daemon"
    )
    made.add_argument("--output", type=Path, default=RESULTS, help="file for the JSON")
    made.add_argument(
        "--only",
        action="append",
        choices=FAMILIES,
        help="measure this again, and keep the other figures of the output; may be repeated",
    )
    made.add_argument(
        "--thorough", action="store_true", help=f"also enrol {LARGEST} gateways at once"
    )
    made.add_argument("--small", action="store_true", help="try the measurements with small fleets")
    made.add_argument(
        "--write-page", action="store_true", help="write the table to docs/performance.md"
    )
    return made


def sizes(options: argparse.Namespace) -> Sizes:
    """Return how much to measure."""
    if options.small:
        return Sizes(options.runs, options.window, 20, 200, 20, (10, 50), 300)
    standard = Sizes(options.runs, options.window)
    if options.thorough:
        return replace(standard, growth=(*standard.growth, LARGEST))
    return standard


if __name__ == "__main__":
    sys.exit(main())
