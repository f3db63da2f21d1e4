"""The site as `make docs-site` has built it, behind a web server, and a browser."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.browser import Browser

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parents[2]
SITE = PROJECT / "dist/site"
SCREENSHOTS = PROJECT / "dist/site-screenshots"


class Quiet(SimpleHTTPRequestHandler):
    """A web server that logs nothing."""

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as inherited
        """Log nothing."""


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Serve the site on a loopback port."""
    assert (SITE / "index.html").exists(), "run `make docs-site` first"
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=SITE)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start a browser."""
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(program: Browser, address: str) -> Iterator[Browser]:
    """Return the browser; afterwards nothing came from elsewhere, and nothing went wrong."""
    program.requested.clear()
    program.complaints.clear()
    yield program
    elsewhere = [url for url in program.requested if not url.startswith((address, "data:"))]
    assert elsewhere == []
    assert program.complaints == []
