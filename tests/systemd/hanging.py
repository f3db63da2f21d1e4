"""The gatecert command with a core that can be made to hang, as a test's ExecStart.

The package does not contain this. The core blocks as soon as it finds /run/hang/now; it deletes
that first, so that the next process runs normally.
"""

import sys
import threading
from pathlib import Path

sys.path.insert(0, "/usr/lib/gatecert/python")

from gatecert.__main__ import main
from gatecert.schedule.timetable import Timetable

due = Timetable.due


def due_or_hang(timetable: Timetable) -> list[str]:
    if Path("/run/hang/now").is_dir():
        Path("/run/hang/now").rmdir()
        threading.Event().wait()
    return due(timetable)


Timetable.due = due_or_hang  # type: ignore[method-assign, assignment] # see above
main()
