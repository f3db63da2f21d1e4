"""Detect terminals with colours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


def has_colours(stream: TextIO) -> bool:
    """Return whether the stream is a terminal with colours that NO_COLOR (no-color.org) allows."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
