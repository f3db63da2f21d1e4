"""Whether somebody watches, and in colours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


def has_colours(stream: TextIO) -> bool:
    """Whether it is a terminal that shows colours, to somebody who wants them (no-color.org)."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
