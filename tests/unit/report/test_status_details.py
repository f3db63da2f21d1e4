"""The text for people about one gateway, at several widths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.expected_text import assert_expected
from tests.fakes.gateway_statuses import BOSTON, EVERY_STATE, FULL, NOW

from gatecert.report.status_details import status_details
from gatecert.report.terminal import Terminal, cells

EXPECTED = Path(__file__).parent / "expected"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_gateway_with_every_fact(width: int) -> None:
    lines = status_details(FULL, 4711, NOW, Terminal(width))
    assert_expected(lines, EXPECTED / f"details-{width}.txt")
    assert all(cells(line) <= width or len(line.split()) == 1 for line in lines)


def test_every_state() -> None:
    lines: list[str] = []
    for one in EVERY_STATE:
        lines += [*status_details(one, None, NOW, Terminal(80)), ""]
    assert_expected(lines, EXPECTED / "details-every-state.txt")


def test_no_fact_is_told_twice() -> None:
    for one in EVERY_STATE:
        lines = status_details(one, 4711, NOW, Terminal())
        assert len(lines) == len(set(lines))
        if one.last_error is not None:
            assert "\n".join(lines).count(one.last_error.message) == 1


def test_ascii_only() -> None:
    assert all(
        line.isascii() for line in status_details(BOSTON, None, NOW, Terminal(has_unicode=False))
    )


def test_names_that_are_not_looked_up() -> None:
    lines = status_details(replace(BOSTON, is_looked_up=False), None, NOW, Terminal(80))
    assert any(line.endswith(f"{BOSTON.hostname}, not looked up") for line in lines)
