"""The checker of histories notices each thing that must not happen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from .history import History, KeptVersion, violations

FIRST, SECOND = KeptVersion(1, "f1", b"key1"), KeptVersion(2, "f2", b"key2")
GOOD = History(
    orders=2,
    certificates=2,
    due=2,
    expenses=frozenset({("one", "09:00"), ("two", "10:00")}),
    limit=2,
    journals=frozenset({"one", "two"}),
    newest=(2, "f2"),
    kept={"gw-a": [FIRST, SECOND], "gw-b": [SECOND]},
    served={"gw-a": ["bootstrap", "f1", "f2"], "gw-b": ["bootstrap", "f2"]},
    handshakes=100,
    failures={"gw-a": [], "gw-b": []},
)
BAD: list[tuple[dict[str, Any], str]] = [
    ({"certificates": 3}, "3 certificates issued, but 2 due"),
    (
        {"kept": {"gw-a": [KeptVersion(2, "f3", b"key3"), SECOND], "gw-b": [SECOND]}},
        "2 certificates for generation 2",
    ),
    (
        {"kept": {"gw-a": [KeptVersion(1, "f1", b"key2"), SECOND], "gw-b": [SECOND]}},
        f"2 certificates for key {b'key2'.hex()[-8:]}",
    ),
    ({"orders": 3}, "3 orders, but 2 counted"),
    ({"limit": 1}, "2 orders counted, but 1 allowed"),
    (
        {"journals": frozenset({"one", "two", "three"})},
        "order three is in the files of its host, but not in the rows",
    ),
    (
        {"kept": {"gw-a": [SECOND, KeptVersion(3, "f3", b"key3")], "gw-b": [SECOND]}},
        "generation 3 of gw-a has no row",
    ),
    (
        {"kept": {"gw-a": [FIRST, SECOND], "gw-b": [FIRST]}},
        "gw-b does not have generation 2 of the rows",
    ),
    (
        {"served": {"gw-a": ["f2", "f1", "f2"], "gw-b": ["f2"]}},
        "gw-a went back to an earlier generation: [2, 1, 2]",
    ),
    ({"served": {"gw-a": ["f1"], "gw-b": ["f2"]}}, "gw-a does not serve the newest version"),
    ({"served": {"gw-a": [], "gw-b": ["f2"]}}, "gw-a does not serve the newest version"),
    ({"failures": {"gw-a": ["refused"]}}, "a client of gw-a was not served: refused"),
]


def test_a_good_history_passes() -> None:
    assert violations(GOOD) == []


@pytest.mark.parametrize(("change", "found"), BAD, ids=[found for _, found in BAD])
def test_what_must_not_happen_is_found(change: dict[str, Any], found: str) -> None:
    assert found in violations(replace(GOOD, **change))
