"""Texts that people see, compared with files beside the test.

``WRITE_EXPECTED=1 pytest …`` writes the files; look at their difference before a commit.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def assert_expected(lines: Iterable[str], path: Path) -> None:
    """Compare lines with a file."""
    text = "".join(f"{line}\n" for line in lines)
    if os.environ.get("WRITE_EXPECTED"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")
