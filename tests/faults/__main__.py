"""Run ``make faults``: run every row, print the table, and write it to docs/faults.md.

The exit code is 1 if a row of gatecert fails or was not run, or if a peer could not be measured.
Wrong behaviour of a peer is a result, not a failure.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from tests.faults.scoreboard import CLIENTS, Scoreboard, read, versions, write

from harness.pebble import PROJECT

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = PROJECT / ".cache" / "faults.xml"
PAGE = PROJECT / "docs" / "faults.md"
AT_ONCE = 8  # most rows mostly wait


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rows, print and write the table."""
    parser = argparse.ArgumentParser(prog="make faults", description="Run every fault.")
    parser.add_argument("--output", type=Path, default=PAGE, help="file for the table")
    parser.add_argument("--only", default="", help="expression that selects rows (pytest -k)")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, width=160)
    plain = partial(console.print, sep="\n", markup=False, soft_wrap=True)
    started = time.monotonic()
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "tests/faults", "--every-row", "--peers"),
            *("-n", str(AT_ONCE), "--dist=worksteal", "-q", "--no-cov", "--tb=short", "-o"),
            *("junit_family=xunit1", f"--junitxml={RESULTS}", "-p", "no:cacheprovider"),
            *(("-k", options.only) if options.only else ()),
        ],
        cwd=PROJECT,
        text=True,
        check=False,
        capture_output=True,
    )
    board = read(RESULTS) if finished.returncode in {0, 1} else Scoreboard()
    show(board, console, complete=not options.only)
    console.print(f"\n{board.tally}; {time.monotonic() - started:.0f} s in all")
    if not options.only:
        write(options.output, board, versions())
        console.print(f"written to {options.output}")
    faults = board.faults(complete=not options.only)
    if finished.returncode not in {0, 1}:
        plain(finished.stdout[-20_000:], finished.stderr[-5_000:])
    for failure in board.failures:
        plain(f"\n---- {failure.test}", failure.output)
    plain(*faults)
    return 1 if faults or finished.returncode not in {0, 1} else 0


def show(board: Scoreboard, console: Console, *, complete: bool) -> None:
    """Print the table: all rows, or those that were run."""
    table = Table(box=None, pad_edge=False)
    for heading in ("row", "fault", *CLIENTS, "seconds"):
        table.add_column(heading, justify="right" if heading in {"row", "seconds"} else "left")
    run = {row for row, _ in board.results}
    for line in board.lines():
        if complete or int(line[0]) in run:
            table.add_row(*line)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
