"""Run ``make demo``: exit with 0 after the last step, or with 1 and the reason."""

from __future__ import annotations

import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from demo.enrolment import Demonstration
from demo.progress import Progress, StepFailedError


def main() -> int:
    """Run the demonstration in a temporary directory."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    progress = Progress()
    with tempfile.TemporaryDirectory(prefix="gatecert-demo-") as directory, ExitStack() as servers:
        demonstration = Demonstration(progress, servers, Path(directory))
        try:
            demonstration.run()
        except KeyboardInterrupt:
            progress.fail("interrupted", "")
            return 1
        except (StepFailedError, AssertionError, OSError, RuntimeError) as error:
            progress.fail(str(error), demonstration.gatecert.process.tail(30))
            return 1
    progress.finish("From an empty directory to a trusted gateway with a renewed certificate")
    return 0


if __name__ == "__main__":
    sys.exit(main())
