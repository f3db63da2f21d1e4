"""The long run of ``make fuzz``: every property in a process of its own, driven by coverage.

    python -m tests.fuzz.long [--inputs N] [--seconds S] [--markdown FILE] [NAME…]

Each property gets its share of the inputs; ``--seconds`` bounds the time of all. The fuzzer is
Atheris (libFuzzer), which watches what gatecert does with an input and changes the next one
accordingly. Where there is no Atheris for the Python at hand, inputs are drawn at random.

An input that breaks a promise is written to ``.cache/fuzz/NAME/`` and shown; the exit code is 1.
Memory counts as well: a process that has dealt with all its inputs may not have grown by more than
`MOST_GROWTH` since it had dealt with the first few thousand.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fuzz.promise import Property

MODULES: Final = (
    "authority",
    "configuration",
    "names",
    "state",
    "imports",
    "served",
    "revocation",
)
PROJECT: Final = Path(__file__).resolve().parents[2]
FOUND: Final = PROJECT / ".cache" / "fuzz"
INPUTS: Final = 1_000_000
SECONDS: Final = 4 * 3600.0
WARM: Final = 2_000  # inputs after which caches are full
MOST_GROWTH: Final = 64 << 20  # bytes, of a whole process with a fuzzer in it
MEBIBYTE: Final = 1 << 20
LONGEST_INPUT: Final = 600  # octets
SHORTEST: Final = 300.0  # seconds that each property may have in any case
SLICE: Final = 0.2  # seconds between two looks at a process


@dataclass(frozen=True)
class Result:
    """Result of one property.

    Attributes:
        grown: Bytes of memory between the first inputs and the last.
    """

    name: str
    inputs: int
    seconds: float
    grown: int
    failed: bool


def main() -> int:
    """Run all properties, or those that are named."""
    parser = argparse.ArgumentParser(description="Try inputs that are wrong, for long.")
    parser.add_argument("names", nargs="*", help="properties; all of them when left out")
    parser.add_argument("--inputs", type=int, default=INPUTS, help="in all")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="in all, at most")
    parser.add_argument("--markdown", type=Path, help="write the table there as well")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        name, count, file = given.work
        return work(name, int(count), Path(file))
    chosen = given.names or [name for module in MODULES for name in properties(module)]
    results = run(chosen, given.inputs, given.seconds)
    table = tabulate(results)
    print(table)  # noqa: T201 - what the run is for
    if given.markdown is not None:
        given.markdown.write_text(table, "utf-8")
    return int(any(result.failed for result in results))


def properties(module: str) -> list[str]:
    """The properties of one module, ``module:name``."""
    loaded = importlib.import_module(f"tests.fuzz.test_{module}")
    return [f"{module}:{name}" for name, each in vars(loaded).items() if hasattr(each, "try_input")]


def find(name: str) -> Property:
    """A property by its name."""
    module, _, test = name.partition(":")
    return cast("Property", getattr(importlib.import_module(f"tests.fuzz.test_{module}"), test))


# --------------------------------------------------------------------------- all of them


def run(names: Sequence[str], inputs: int, seconds: float) -> list[Result]:
    """Run properties one after the other; what one leaves of its time is the others'."""
    FOUND.mkdir(parents=True, exist_ok=True)
    shares = {name: find(name).share for name in names}
    end = time.monotonic() + seconds
    results = []
    left = sum(shares.values())
    for name, share in shares.items():
        time_left = max(1.0, end - time.monotonic())
        count = -(-inputs * share // sum(shares.values()))
        results.append(run_one(name, count, max(time_left * share / left * 3, SHORTEST)))
        left -= share
        print(line(results[-1]), flush=True)  # noqa: T201 - a run takes hours
    return results


def run_one(name: str, count: int, seconds: float, found: Path = FOUND) -> Result:
    """Run one property in a process of its own, and watch how much memory that takes."""
    place = found / name.replace(":", "-")
    place.mkdir(exist_ok=True)
    counted = place / "count"
    counted.unlink(missing_ok=True)
    begin = time.monotonic()
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(  # this very program
            [sys.executable, "-m", "tests.fuzz.long", "--work", name, str(count), str(counted)],
            cwd=PROJECT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        first, last, ended = _watch(process, counted, begin + seconds)
    inputs = _count(counted)
    grown = last - first if first else 0
    failed = (process.returncode != 0 and not ended) or grown > MOST_GROWTH
    if failed:
        sys.stderr.write((place / "log").read_text("utf-8", "replace")[-6000:])
    return Result(name, inputs, time.monotonic() - begin, grown, failed=failed)


def _watch(process: subprocess.Popen[bytes], counted: Path, end: float) -> tuple[int, int, bool]:
    """The memory of a process when it is warm, and at its end; whether it had to be ended."""
    first = last = 0
    ended = False
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            last = watched.memory_info().rss or last
        except psutil.Error:
            break
        if not first and _count(counted) >= WARM:
            first = last
        if time.monotonic() > end:
            process.terminate()
            ended = True
        time.sleep(SLICE)
    process.wait()
    return first, last, ended


def _count(file: Path) -> int:
    from tests.fuzz.promise import COUNTER  # noqa: PLC0415 - not before Atheris, where there is one

    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return 0
    return int(COUNTER.unpack(data)[0]) if len(data) == COUNTER.size else 0


def line(result: Result) -> str:
    """One row of the table."""
    rate = result.inputs / result.seconds
    outcome = "**broken**" if result.failed else "kept"
    return (
        f"| {result.name.replace(':test_', ': ').replace('_', ' ')} | {result.inputs:,} |"
        f" {result.seconds:.0f} | {rate:,.0f} | {result.grown / MEBIBYTE:.1f} | {outcome} |"
    )


def tabulate(results: Sequence[Result]) -> str:
    """Return the report."""
    total = sum(result.inputs for result in results)
    seconds = sum(result.seconds for result in results)
    broken = sum(result.failed for result in results)
    head = (
        "| property | inputs | seconds | a second | MiB grown | promise |\n"
        "|---|--:|--:|--:|--:|---|\n"
    )
    rows = "\n".join(line(result) for result in results)
    kind = "Atheris" if has_atheris() else "random inputs"
    return (
        f"{head}{rows}\n\n{total:,} inputs in {seconds / 60:.0f} minutes on one core with {kind},"
        f" Python {sys.version.split()[0]}, {datetime.now(UTC):%Y-%m-%d}: {broken} broken.\n"
    )


# --------------------------------------------------------------------------- one of them


def has_atheris() -> bool:
    """Return True if Atheris is available for this Python."""
    return importlib.util.find_spec("atheris") is not None


def work(name: str, count: int, file: Path) -> int:
    """Try inputs in this process until so many were tried, or one breaks its promise."""
    if has_atheris():
        _guided(name, count, file)
    else:
        _at_random(name, count, file)
    return 0


def _guided(name: str, count: int, file: Path) -> None:
    import atheris  # noqa: PLC0415 - not for every Python

    with atheris.instrument_imports(include=["gatecert"]):
        tried = find(name)
    _share(file)
    arguments = [
        sys.argv[0],
        f"-atheris_runs={count}",
        f"-max_len={LONGEST_INPUT}",
        "-timeout=0",
        "-rss_limit_mb=2048",
        "-print_final_stats=0",
        "-verbosity=0",
        f"-artifact_prefix={file.parent}{os.sep}",
    ]
    atheris.Setup(arguments, lambda data: tried.try_input(bytes(data)))
    atheris.Fuzz()


def _at_random(name: str, count: int, file: Path) -> None:
    tried = find(name)
    _share(file)
    drawn = random.Random(0)
    for _ in range(count):
        data = drawn.randbytes(drawn.randrange(LONGEST_INPUT))
        try:
            tried.try_input(data)
        except BaseException:
            (file.parent / "crash").write_bytes(data)
            raise


def _share(file: Path) -> None:
    from tests.fuzz.promise import counter  # noqa: PLC0415 - after gatecert is instrumented

    counter.share(file)


if __name__ == "__main__":
    sys.exit(main())
