"""The gatecert command with a scheduler that can be made to hang, as a test's ExecStart.

The package does not contain this. The scheduler's thread blocks as soon as it finds
/run/hang/now; it deletes that first, so that the next process runs normally.
"""

import sys
import threading
from pathlib import Path

sys.path.insert(0, "/usr/lib/gatecert/python")

from apscheduler.schedulers.background import BackgroundScheduler

from gatecert import daemon
from gatecert.__main__ import main

# The scheduler's own loop must hang, and it has no public name.
turn = BackgroundScheduler._process_jobs  # noqa: SLF001 - see above


def turn_or_hang(scheduler: BackgroundScheduler) -> float:
    if Path("/run/hang/now").is_dir():
        Path("/run/hang/now").rmdir()
        threading.Event().wait()
    seconds: float = turn(scheduler)
    return seconds


BackgroundScheduler._process_jobs = turn_or_hang  # noqa: SLF001 - see above
daemon.HEARTBEAT_TIMEOUT = 8.0  # seconds, instead of 30: shortens the test
main()
