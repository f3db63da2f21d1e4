from __future__ import annotations

import pytest
import typer

from gatecert.cli.context import find, matching

GATEWAYS = {name: name.upper() for name in ("edge-1", "edge-2", "boston", "Edge-3")}


def test_names_select_in_their_order() -> None:
    assert matching("gateway", GATEWAYS, ["edge-2", "boston"]) == ("EDGE-2", "BOSTON")


def test_no_name_selects_everything() -> None:
    assert matching("gateway", GATEWAYS, []) == ("EDGE-3", "BOSTON", "EDGE-1", "EDGE-2")


@pytest.mark.parametrize(
    ("names", "selected"),
    [
        (["edge-*"], ("EDGE-1", "EDGE-2")),
        (["edge-?", "boston", "edge-1"], ("EDGE-1", "EDGE-2", "BOSTON")),
        (["edge-2", "edge-*"], ("EDGE-2", "EDGE-1")),
        (["[!E]*-[12]"], ("EDGE-1", "EDGE-2")),
        (["*"], ("EDGE-3", "BOSTON", "EDGE-1", "EDGE-2")),
    ],
)
def test_patterns_select_each_gateway_once(names: list[str], selected: tuple[str, ...]) -> None:
    assert matching("gateway", GATEWAYS, names) == selected


def test_a_pattern_that_matches_nothing_is_wrong_usage() -> None:
    said = r"no gateway matches 'core-\*' \(configured: Edge-3, boston, edge-1, edge-2\)"
    with pytest.raises(typer.BadParameter, match=said):
        matching("gateway", GATEWAYS, ["edge-1", "core-*"])


def test_an_unknown_name_is_wrong_usage() -> None:
    with pytest.raises(typer.BadParameter, match="no gateway is called 'edge', did you mean"):
        matching("gateway", GATEWAYS, ["edge"])


def test_a_single_name_is_no_pattern() -> None:
    with pytest.raises(typer.BadParameter, match="no gateway is called 'edge-"):
        find("gateway", GATEWAYS, "edge-*")


def test_the_list_of_known_names_stays_short() -> None:
    many = {f"gw-{number:05}": number for number in range(10_000)}
    with pytest.raises(typer.BadParameter, match=r"gw-00019 and 9980 more\)$") as caught:
        matching("gateway", many, ["x"])
    assert len(str(caught.value)) < 400
