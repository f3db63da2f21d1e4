"""Statistics, targets and rows of figures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from bench.figures import Figure, Report, number, statistics, summary

if TYPE_CHECKING:
    from pathlib import Path


def test_the_median_decides_whether_a_target_is_met() -> None:
    assert Figure("time", "s", [0.1, 0.2, 9.0], wanted=0.2).met is True
    assert Figure("time", "s", [0.1, 0.3, 0.3], wanted=0.2).met is False
    assert Figure("speed", "times", [14, 16, 16], wanted=15, at_least=True).met is True
    assert Figure("speed", "times", [16, 14, 14], wanted=15, at_least=True).met is False


def test_nothing_is_met_without_a_target_or_without_samples() -> None:
    assert Figure("time", "s", [0.1]).met is None
    assert Figure("time", "s", [], wanted=0.2, problem="the daemon ended").met is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.04567, "0.0457"), (1.2, "1.2"), (12.34, "12.3"), (9999.6, "10000")],
)
def test_three_digits_are_shown(value: float, shown: str) -> None:
    assert number(value) == shown


def test_extremes_are_shown_of_several_samples_only() -> None:
    assert summary([]) == ""
    assert summary([2.0]) == "2"
    assert summary([3.0, 1.0, 2.0]) == "2 (1 to 3)"


def test_the_samples_stay_in_their_order() -> None:
    assert statistics([3.0, 1.0, 2.00001]) == {
        "samples": [3.0, 1.0, 2.0],
        "minimum": 1.0,
        "median": 2.0,
        "maximum": 3.0,
    }
    assert statistics([]) == {"samples": []}


def test_a_row_has_a_cell_for_each_program() -> None:
    figure = Figure("time", "s", [2.0], 2.8, 1.2, peers={"Caddy": [12.4], "certbot": [28, 30]})
    assert list(figure.cells()) == [
        "time, s",
        "2.8",
        "≤ 1.2",
        "2",
        "NO",
        "12.4",
        "29 (28 to 30)",
    ]


def test_a_unit_may_be_missing() -> None:
    assert next(Figure("context switches", "", [2.0]).cells()) == "context switches"


def test_a_file_keeps_every_figure(tmp_path: Path) -> None:
    file = tmp_path / "new" / "bench.json"
    figures = {
        "start": [Figure("time", "s", [2.0, 3.0], 2.8, 1.2, peers={"Caddy": [12.4]})],
        "idle": [Figure("memory", "MB", [], problem="the daemon ended")],
    }
    Report(figures, {"Caddy": "2.11"}).write(file)
    again = Report({"start": [], "fleet": []})
    again.read(file)
    assert again.groups == {**figures, "fleet": []}
    written = json.loads(file.read_text("utf-8"))
    (time,), (memory,) = written["groups"]["start"], written["groups"]["idle"]
    assert written["versions"]["Caddy"] == "2.11"
    assert (time["median"], time["met"], time["peers"]["Caddy"]["median"]) == (2.5, False, 12.4)
    assert (memory["samples"], memory["met"], memory["problem"]) == ([], None, "the daemon ended")


def test_there_may_be_no_earlier_file(tmp_path: Path) -> None:
    report = Report({"start": []})
    report.read(tmp_path / "bench.json")
    assert report.groups == {"start": []}
