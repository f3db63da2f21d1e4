"""The layout of the source, and what tests may reach into."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "daemon" / "gatecert"
SHARED_NAMES = {"__init__", "protocol"}
FOLDERS = ("fakes", "fuzz", "survival", "unit")

REPLACED = re.compile(
    r"""\bsetattr\(\s*[^"'(),]*,?\s*["'](?:[\w.]+\.)?([A-Z][A-Z_]+|_[a-z]\w*)["']"""
)
PRIVATE = re.compile(r"\bSLF001\b")


def test_no_module_name_occurs_twice() -> None:
    places = defaultdict(list)
    for path in SOURCE.rglob("*.py"):
        places[path.stem].append(str(path.relative_to(SOURCE)))
    twice = {name: sorted(found) for name, found in places.items() if len(found) > 1}
    assert twice.keys() <= SHARED_NAMES, twice


def test_tests_use_public_names_and_replace_no_constants() -> None:
    """The code takes an argument for each value that a test needs to be different."""
    found = []
    for folder in FOLDERS:
        for path in sorted((ROOT / "tests" / folder).rglob("*.py")):
            if path == Path(__file__):
                continue
            text = path.read_text("utf-8")
            found += [
                f"{path.relative_to(ROOT)}: {match[0]}"
                for pattern in (REPLACED, PRIVATE)
                for match in pattern.finditer(text)
            ]
    assert not found
