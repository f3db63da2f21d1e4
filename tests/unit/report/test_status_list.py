"""The text for people about many gateways, at several widths."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes.expected_text import assert_expected
from tests.fakes.gateway_statuses import BOSTON, EVERY_STATE, NOW, gateway

from gatecert.report.gateway_status import Condition, GatewayStatus
from gatecert.report.status_list import status_list
from gatecert.report.terminal import Terminal, cells, control

EXPECTED = Path(__file__).parent / "expected"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_every_state_at_every_width(width: int) -> None:
    lines = status_list(EVERY_STATE, 4711, NOW, Terminal(width))
    assert_expected(lines, EXPECTED / f"status-{width}.txt")
    assert all(cells(line) <= width or len(line.split()) == 1 for line in lines)


def test_a_pipe_gets_one_line_for_each_fact_in_ascii() -> None:
    lines = status_list(EVERY_STATE, None, NOW, Terminal(has_unicode=False))
    assert_expected(lines, EXPECTED / "status-pipe-ascii.txt")
    assert all(line.isascii() for line in lines)


def test_colours_change_nothing_but_the_colours() -> None:
    plain = status_list(EVERY_STATE, 4711, NOW, Terminal(80))
    coloured = status_list(EVERY_STATE, 4711, NOW, Terminal(80, colours=True))
    assert [cells(line) for line in coloured] == [cells(line) for line in plain]
    assert f"{control('[31m')}✗{control('[0m')}" in "\n".join(coloured)
    assert "\x1b" not in "".join(plain)


@pytest.mark.parametrize(
    ("statuses", "head"),
    [
        ([], "no gateways configured · daemon running (process 1)"),
        (
            [gateway("new", Condition.BOOTSTRAP)],
            "1 gateway, which does not need you · daemon running (process 1)",
        ),
        ([BOSTON], "1 gateway, which is well · daemon running (process 1)"),
        ([BOSTON, gateway("lab")], "all 2 gateways are well · daemon running (process 1)"),
        (
            [gateway("void", Condition.EMPTY), BOSTON],
            "1 of 2 needs you · daemon running (process 1)",
        ),
        (
            [gateway("new", Condition.BOOTSTRAP), BOSTON],
            "none of 2 needs you · daemon running (process 1)",
        ),
    ],
)
def test_the_head_line_counts(statuses: list[GatewayStatus], head: str) -> None:
    assert status_list(statuses, 1, NOW, Terminal())[0] == head


def test_hundreds_of_gateways_are_one_line_each_behind_the_problem() -> None:
    many = [gateway(f"edge-{number:03}") for number in range(300)]
    many[200] = gateway("edge-200", Condition.EMPTY, not_after=None)
    lines = status_list(many, 1, NOW, Terminal(80))
    assert lines[0].startswith("1 of 300 needs you")
    assert lines[2:4] == [
        "✗ edge-200  empty    no certificate yet",
        "                     → start the daemon, or: gatecert enroll edge-200",
    ]
    assert len(lines) == 2 + 300 + 1


def test_a_long_name_is_whole_and_moves_no_other_row() -> None:
    long = gateway("vpn-gateway-of-the-northern-region-in-hamburg")
    lines = status_list([long, BOSTON], 1, NOW, Terminal(70))
    assert lines[2:] == [
        "✓ vpn-gateway-of-the-northern-region-in-hamburg  trusted",
        "  renews in 59 d, 27 Jan",
        "✓ boston  trusted  renews in 59 d, 27 Jan",
    ]
