"""A wrong wall clock for a program, and one that is set while it runs.

libfaketime changes what the program reads; a library of our own, compiled here, tells it that the
clock was set, as the kernel would.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

from harness.pebble import PROJECT
from harness.process import program

SOURCE = Path(__file__).with_name("set_clock.c")
COMPILED = PROJECT / ".cache" / "set_clock.so"


def false_clock(offset: str) -> dict[str, str]:
    """Return the environment that gives a program a wrong wall clock; other clocks stay right.

    Args:
        offset: As libfaketime wants it written: ``+3y``, ``-10d``, ``+990s``; or ``@FILE``, a file
            that holds it and may change.

    Raises:
        RuntimeError: libfaketime is not installed.
    """
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not libraries:
        raise RuntimeError("libfaketime is not installed: run `make setup`")
    return environment(str(libraries[0]), str(set_clock()), offset)


def environment(libfaketime: str, set_clock: str, offset: str) -> dict[str, str]:
    """Return the environment for libraries with these paths; see `false_clock`."""
    how = (
        {
            "LD_PRELOAD": f"{set_clock} {libfaketime}",
            "FAKETIME_TIMESTAMP_FILE": offset[1:],
            "FAKETIME_NO_CACHE": "1",
        }
        if offset.startswith("@")
        else {"LD_PRELOAD": libfaketime, "FAKETIME": offset}
    )
    # Its correction for old C libraries would make threads of Python wait for each other 20 times
    # as long.
    right = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_FORCE_MONOTONIC_FIX": "0"}
    return {**right, **how}


@cache
def set_clock() -> Path:
    """Compile the library that reports that the clock was set, and return its path."""
    new = COMPILED.with_name(f"{COMPILED.name}.{os.getpid()}")
    options = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]
    subprocess.run([program("gcc"), *options, "-o", new, SOURCE], check=True)
    new.replace(COMPILED)  # tests in other processes may be using the one before
    return COMPILED
