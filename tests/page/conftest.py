"""The status page behind a server, and a browser that reads it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.browser import Browser

from .serving import ServedPage

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parents[2]
SCREENSHOTS = PROJECT / "dist/page-screenshots"
AXE = PROJECT / ".cache/axe-core/axe.min.js"


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start a browser."""
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page() -> Iterator[ServedPage]:
    """Serve the page."""
    with ServedPage() as served:
        yield served


@pytest.fixture
def browser(program: Browser, page: ServedPage) -> Iterator[Browser]:
    """Return the browser; afterwards nothing came from elsewhere, and nothing went wrong."""
    program.requested.clear()
    program.complaints.clear()
    program.resize(1280, 900)
    program.prefer(prefers_color_scheme="light")
    program.allow_scripts(allowed=True)
    yield program
    elsewhere = [url for url in program.requested if not url.startswith((page.address, "data:"))]
    complaints = list(program.complaints)
    program.allow_scripts(allowed=True)
    program.open("about:blank")
    assert elsewhere == []
    assert complaints == []
