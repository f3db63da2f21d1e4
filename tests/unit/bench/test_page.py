"""The table in docs/performance.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bench.figures import Figure, Report
from bench.page import END, PAGE, begin, markdown, write_page

if TYPE_CHECKING:
    from pathlib import Path

BENCH, FLEET = (begin(f"make {target}") for target in ("bench", "fleet"))
REPORT = Report({"start": [Figure("time", "s", [2.0], 2.8, 1.2, peers={"Caddy": [12.4]})]})


def test_only_the_table_changes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    after = f"after\n\n{FLEET}\n\nother\n\n{END}\n"
    page.write_text(f"before\n\n{BENCH}\n\nold \\1\n\n{END}\n\n{after}", "utf-8")
    for _ in range(2):
        write_page(REPORT, page)
        text = page.read_text("utf-8")
        assert text.startswith(f"before\n\n{BENCH}\n")
        assert text.endswith(f"{END}\n\n{after}")
        assert "old" not in text
        assert text.count("| time, s | 2.8 | ≤ 1.2 | 2 | NO | 12.4 |\n") == 1


def test_a_page_without_a_place_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n", "utf-8")
    with pytest.raises(ValueError, match="needs one line"):
        write_page(REPORT, page)
    assert page.read_text("utf-8") == "before\n"


def test_the_page_has_both_places() -> None:
    text = PAGE.read_text("utf-8")
    assert text.index(BENCH) < text.index(END) < text.index(FLEET) < text.rindex(END)


def test_a_missing_figure_says_why() -> None:
    lines = markdown(Report({"idle": [Figure("memory", "MB", [], problem="the daemon ended")]}))
    assert lines[-1] == "- memory: not measured: the daemon ended"
    assert "| memory, MB | — |" in lines
