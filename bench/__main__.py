"""Run ``make bench``: measure, print a table, and write ``.cache/bench.json``.

A figure that misses its target is marked; only a measurement that cannot be made is an error.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench import gateways, peer
from bench.figures import Figure, Report
from harness.challenge_test_server import ChallengeTestServer
from harness.pebble import PROJECT, Pebble, PebbleOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = PROJECT / ".cache" / "bench.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Take all measurements, one after the other."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="make bench", description="Measure gatecert and certbot.")
    parser.add_argument("--runs", type=int, default=5, help="number of samples for each figure")
    parser.add_argument(
        "--window", type=float, default=60.0, help="seconds to observe an idle daemon"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="file for the JSON")
    options = parser.parse_args(arguments)

    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="gatecert-bench-") as directory, ExitStack() as servers:
        workshop = Path(directory)
        names = servers.enter_context(ChallengeTestServer(workshop))
        pebble = servers.enter_context(
            Pebble(
                workshop,
                dns_server=names.address,
                options=PebbleOptions(rejected_nonces=0, reused_authorizations=0),
            )
        )
        report = measure(workshop, pebble, names, console, runs=options.runs, window=options.window)
    report.write(options.output)
    console.print()
    report.show(console)
    console.print(f"\nevery sample: {options.output}")
    return 0


def measure(  # noqa: PLR0913 - servers and options
    directory: Path,
    pebble: Pebble,
    names: ChallengeTestServer,
    console: Console,
    *,
    runs: int,
    window: float,
) -> Report:
    """Return all figures."""
    report = Report(peers={"certbot": peer.certbot_version()})

    console.print(f"from an empty directory to trusted and served, {runs} times")
    starts = [
        gateways.from_nothing(directory / f"start{run}", pebble, names, f"start{run}.example.com")
        for run in range(runs)
    ]
    report.add(Figure("start to bootstrap in live", "s", [start[0] for start in starts], 0.5))
    report.add(Figure("start to trusted and served", "s", [start[1] for start in starts], 2.0))

    console.print(f"enrolment in the warm daemon, {2 * runs} times")
    hostnames = [f"warm{run}.example.com" for run in range(2 * runs + 1)]
    warm = report.add(
        Figure(
            "warm enrolment, without reload",
            "s",
            gateways.warm(directory / "warm", pebble, names, hostnames),
            0.15,
        )
    )

    console.print(f"certbot with the same CA, {runs} times")
    hostnames = [f"certbot{run}.example.com" for run in range(runs + 1)]
    certbot = report.add(
        Figure(
            "certbot certonly --standalone",
            "s",
            peer.certbot(directory / "certbot", pebble, names, hostnames),
        )
    )
    report.add(
        Figure("faster than certbot", "times", [certbot.value / warm.value], 15, at_least=True)
    )

    console.print(f"an idle daemon, {window:g} s")
    memory, processor = gateways.idle(
        directory / "idle", pebble, names, "idle.example.com", window=window
    )
    report.add(Figure("idle resident memory", "MB", [memory], 60))
    report.add(Figure("idle processor time", "%", [processor], 0.1))
    return report


if __name__ == "__main__":
    sys.exit(main())
