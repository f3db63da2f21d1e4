"""Pages lead a reader of the package to what the package has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def test_links_between_pages_lead_somewhere(tree: Path) -> None:
    documentation = tree / "usr/share/doc/gatecert"
    pages = sorted(documentation.rglob("*.md"))
    assert documentation / "docs/README.md" in pages
    links = [
        (page.relative_to(documentation), link)
        for page in pages
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
    ]
    assert [each for each in links if not (documentation / each[0].parent / each[1]).exists()] == []
