"""A clock that is set: what the kernel reports, emulated by the harness, and what is made of it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from harness.false_clock import false_clock

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600
PROGRAM = f"""\
import select, sys, time
from pathlib import Path
from gatecert.system_calls import WallClockTimer

clock, timer = Path(sys.argv[1]), WallClockTimer()
timer.set(time.time() + {HOUR})
clock.write_text("+21d")
select.select([timer], [], [])
if sys.argv[2] == "set again":
    timer.set(time.time() + {HOUR})
    select.select([timer], [], [])
print(timer.clock_was_set(), timer.clock_was_set())
timer.set(time.time())
select.select([timer], [], [])
print(timer.clock_was_set())
"""


def was_set(directory: Path, *, again: bool) -> list[str]:
    """Set the clock of a program that waits for an instant, and return what it was told."""
    clock = directory / "clock"
    clock.write_text("+0s", "utf-8")
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(clock), "set again" if again else ""],
        env={**os.environ, **false_clock(f"@{clock}")},
        text=True,
        capture_output=True,
        check=True,
        timeout=30,
    )
    return finished.stdout.split()


def test_a_clock_that_is_set_is_noticed_once(tmp_path: Path) -> None:
    assert was_set(tmp_path, again=False) == ["True", "False", "False"]


def test_a_clock_that_is_set_is_noticed_although_the_timer_is_set_again(tmp_path: Path) -> None:
    assert was_set(tmp_path, again=True) == ["True", "False", "False"]
