"""Build the documentation as a site: `make docs-site` (decision 0021).

The source is the whole project, so that links between pages are those that a reader of the files
follows. docs/README.md gives the order of the pages: each of its sections becomes a part of the
navigation, and a page that it does not list fails the build.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.search.en import SearchEnglish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]

project = "gatecert"
author = "the gatecert developers"
html_title = "gatecert"
language = "en"

extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "pebble/*.md"]
exclude_patterns = [".*", "dist", "daemon", "tests", "bench", "demo", "systemd", "packaging"]
highlight_language = "none"
suppress_warnings = ["misc.highlighting_failure"]  # languages that Pygments does not know
smartquotes = False  # options begin with two hyphens
myst_heading_anchors = 4
myst_links_external_new_tab = False

html_theme = "furo"
html_copy_source = False
html_show_copyright = False
html_permalinks_icon = "#"
html_theme_options = {"footer_icons": []}
html_static_path = ["site.css"]
html_css_files = ["site.css"]


class Words(SearchEnglish):
    """Index words with hyphens whole as well: dns-01, tls-alpn-01, client-ca."""

    js_splitter_code = r"""
var splitQuery = (query) => {
  const whole = query.match(/[\p{L}\p{N}_]+(?:-[\p{L}\p{N}_]+)+/gu) || [];
  return [...whole, ...(query.match(/[\p{L}\p{N}_]+/gu) || [])];
};
"""

    def split(self, input: str) -> list[str]:  # noqa: A002 - Sphinx's name
        """Return the words of a text, and the parts of those with hyphens."""
        whole = re.findall(r"\w+(?:-\w+)+", input)
        return [*whole, *super().split(input)]


def navigation() -> Iterator[str]:
    """Yield a hidden table of contents for each section of docs/README.md."""
    index = (ROOT / "docs/README.md").read_text("utf-8")
    for section in index.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        pages = re.findall(r"^- \[([^\]]*)\]\(([^)]+)\.md\)", text, re.MULTILINE)
        lines = [f"{label} </{_document(page)}>" for label, page in pages]
        yield "\n".join(["", "```{toctree}", ":hidden:", f":caption: {title}", *lines, "```", ""])


def _document(page: str) -> str:
    """Return the path of a page that docs/README.md names, from the top of the project."""
    return str((ROOT / "docs" / page).resolve().relative_to(ROOT))


def add_navigation(_app: Sphinx, name: str, source: list[str]) -> None:
    """Append what holds the pages together."""
    if name == root_doc:
        source[0] += "\n```{toctree}\n:hidden:\ndocs/README\n```\n" + "".join(navigation())
    elif name == "docs/decisions/README":
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n0*\n```\n"


def add_start_page(app: Sphinx, error: Exception | None) -> None:
    """Make the first page the one that a web server shows for the directory."""
    if error is None:
        shutil.copyfile(app.outdir / f"{root_doc}.html", app.outdir / "index.html")


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    app.add_search_language(Words)
    app.connect("source-read", add_navigation)
    app.connect("build-finished", add_start_page)
