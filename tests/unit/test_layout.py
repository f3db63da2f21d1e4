"""The layout of the source."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "daemon" / "gatecert"
OFTEN = {"__init__", "protocol"}  # the field's names for what every package may have


def test_no_module_name_occurs_twice() -> None:
    places = defaultdict(list)
    for path in SOURCE.rglob("*.py"):
        places[path.stem].append(str(path.relative_to(SOURCE)))
    twice = {
        name: sorted(found)
        for name, found in places.items()
        if len(found) > 1 and name not in OFTEN
    }
    assert not twice
