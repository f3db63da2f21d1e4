"""The table in docs/performance.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bench.figures import Figure, Report
from bench.page import BEGIN, END, PAGE, markdown, write_page

if TYPE_CHECKING:
    from pathlib import Path

REPORT = Report({"start": [Figure("time", "s", [2.0], 2.8, 1.2, peers={"Caddy": [12.4]})]})


def test_only_the_table_changes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\n\nold \\1\n\n{END}\n\nafter\n", "utf-8")
    for _ in range(2):
        write_page(REPORT, page)
        text = page.read_text("utf-8")
        assert text.startswith(f"before\n\n{BEGIN}\n")
        assert text.endswith(f"{END}\n\nafter\n")
        assert "old" not in text
        assert text.count("| time, s | 2.8 | ≤ 1.2 | 2 | NO | 12.4 |  |") == 1


def test_a_page_without_a_place_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n", "utf-8")
    with pytest.raises(ValueError, match="needs one line"):
        write_page(REPORT, page)
    assert page.read_text("utf-8") == "before\n"


def test_the_page_has_a_place() -> None:
    text = PAGE.read_text("utf-8")
    assert text.index(BEGIN) < text.index(END)


def test_a_missing_figure_says_why() -> None:
    lines = markdown(Report({"idle": [Figure("memory", "MB", [], problem="the daemon ended")]}))
    assert lines[-1] == "- memory: not measured: the daemon ended"
    assert "| memory, MB |  |  | — |  |  |  |" in lines
