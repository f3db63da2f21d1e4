"""``make demo``: exit 0 when the story was told to its end, 1 with the reason otherwise."""

from __future__ import annotations

import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from demo.story import Story
from demo.teller import StoryBrokenError, Teller


def main() -> int:
    """Play the story in a directory that is gone afterwards."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    teller = Teller()
    with tempfile.TemporaryDirectory(prefix="gatecert-demo-") as directory, ExitStack() as servers:
        story = Story(teller, servers, Path(directory))
        try:
            story.play()
        except KeyboardInterrupt:
            teller.broken("interrupted", "")
            return 1
        except (StoryBrokenError, AssertionError, OSError, RuntimeError) as error:
            teller.broken(str(error), story.gatecert.process.tail(30))
            return 1
    teller.end("From nothing to a trusted gateway, renewed by itself")
    return 0


if __name__ == "__main__":
    sys.exit(main())
