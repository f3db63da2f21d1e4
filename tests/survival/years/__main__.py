"""Many lives, on every processor: ``python -m tests.survival.years --years 10000``.

What went wrong is printed with the seed of the life, by which it can be lived again.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import secrets
import sys
import time
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from multiprocessing import Pool
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from tests.survival.years.authority import root_pem
from tests.survival.years.life import Life, Record
from tests.survival.years.world import SPAN

if TYPE_CHECKING:
    from collections.abc import Iterator

YEAR = timedelta(days=365.25)
KIBIBYTES_A_MEBIBYTE = 1024
EVERY = 60.0  # seconds between two signs of life
MOST_SHOWN = 5


@dataclass
class Sum:
    """Results of many simulated lives.

    Attributes:
        memory: Of the biggest process, in MiB, after its first lives and after its last.
        most: The most of each limited thing that ever came together in a period.
    """

    lives: int = 0
    passes: int = 0
    requests: int = 0
    orders: int = 0
    issued: int = 0
    changes: int = 0
    lapses: int = 0
    lapsed: timedelta = timedelta(0)
    largest_state: int = 0
    seconds: float = 0.0
    memory: dict[int, list[float]] = field(default_factory=dict)
    most: dict[str, str] = field(default_factory=dict)
    faulty: list[Record] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """One more life."""
        self.lives += 1
        for name in ("passes", "requests", "orders", "issued", "changes", "lapses"):
            setattr(self, name, getattr(self, name) + getattr(record, name))
        self.lapsed += record.lapsed
        self.seconds += record.seconds
        self.largest_state = max(self.largest_state, record.largest_state)
        self.memory.setdefault(record.process, []).append(record.memory)
        for what, (most, count) in record.most.items():
            known = int(self.most.get(what, "0").partition(" ")[0])
            self.most[what] = f"{max(most, known)} of {count}"
        if record.faults:
            self.faulty.append(record)

    @property
    def years(self) -> float:
        """The duration of all lives together."""
        return self.lives * (SPAN / YEAR)

    def lines(self, elapsed: float) -> Iterator[str]:
        """For people."""
        yield (
            f"{self.lives} lives of {SPAN.days} days, {self.years:.0f} years: "
            f"{self.lives / elapsed * 60:.0f} lives a minute, "
            f"{self.seconds / self.lives:.3f} s of a processor each"
        )
        yield (
            f"{self.changes} troubles and other events, {self.passes} passes, "
            f"{self.requests} requests, {self.orders} orders, {self.issued} certificates"
        )
        yield (
            f"an expired certificate was served {self.lapses} times, "
            f"{self.lapsed / timedelta(hours=1):.0f} hours in all, because none could be had"
        )
        most = ", ".join(f"{value} {what}" for what, value in sorted(self.most.items()))
        yield f"at most together: {most}"
        first = max(values[min(len(values) - 1, 20)] for values in self.memory.values())
        last = max(values[-1] for values in self.memory.values())
        yield (
            f"largest state.json {self.largest_state} bytes; memory of a process "
            f"{first:.0f} MiB after its first lives, {last:.0f} MiB after its last"
        )
        yield f"lives in which anything was wrong that need not have been: {len(self.faulty)}"
        for record in self.faulty[:MOST_SHOWN]:
            yield f"seed {record.seed} (certificates of {record.lifetime}):"
            yield from (f"  {fault}" for fault in record.faults[:MOST_SHOWN])
            yield f"  again: make years SEED={record.seed} LIVES=1"


@cache
def roots() -> Path:
    """This process's file with the authority's root."""
    path = Path(mkdtemp(prefix="years-")) / "roots.pem"
    path.write_bytes(root_pem())
    return path


def live(seed: int) -> Record:
    """One life, with what it cost."""
    logging.disable(logging.CRITICAL)
    before = time.process_time()
    record = Life(seed, roots()).run()
    record.seconds = time.process_time() - before
    record.process = os.getpid()
    record.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIBIBYTES_A_MEBIBYTE
    return record


def main() -> int:
    """Live, and say how it went."""
    parser = argparse.ArgumentParser(prog="python -m tests.survival.years")
    parser.add_argument("--years", type=float, default=10_000.0)
    parser.add_argument("--lives", type=int, help="how many, in place of years")
    parser.add_argument("--seed", type=int, help="of the first life; by chance if left out")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    lives = arguments.lives or -int(-arguments.years * YEAR // SPAN)
    seed = secrets.randbelow(1 << 40) if arguments.seed is None else arguments.seed
    print(f"seed {seed}, {lives} lives in {arguments.processes} processes", flush=True)  # noqa: T201
    begin = said = time.monotonic()
    total = Sum()
    with Pool(arguments.processes) as pool:
        for record in pool.imap_unordered(live, range(seed, seed + lives), chunksize=8):
            total.add(record)
            if time.monotonic() - said > EVERY:
                said = time.monotonic()
                print(f"… {total.lives} lives, {len(total.faulty)} faulty", flush=True)  # noqa: T201
    for line in total.lines(time.monotonic() - begin):
        print(line)  # noqa: T201 - what it is for
    return 1 if total.faulty else 0


if __name__ == "__main__":
    sys.exit(main())
