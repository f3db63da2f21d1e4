"""Scenes for the rows, and which rows are played.

Without options, those that are quick: they belong to `make test`. `make faults` adds the slow ones
(``--every-row``) and the peers (``--peers``).
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from tests.faults.peers import PEERS
from tests.faults.scene import Scene

from harness.pebble import PebbleOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.peers import Peer


HERE = Path(__file__).parent
UNCLOSED = "ignore::pytest.PytestUnraisableExceptionWarning"


class Play(Protocol):
    """Starts a scene whose authority behaves as asked."""

    def __call__(self, options: PebbleOptions | None = None) -> Scene: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-row", action="store_true", help="the slow rows too (make faults)")
    parser.addoption("--peers", action="store_true", help="put the faults to certbot and lego too")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: a row that belongs to `make faults` only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what was not asked for."""
    every_row, peers = (bool(config.getoption(name)) for name in ("every_row", "peers"))

    def wanted(item: pytest.Item) -> bool:
        if "peer_name" in getattr(item, "fixturenames", ()):
            return peers
        return every_row or item.get_closest_marker("slow") is None

    for item in items:
        if item.path.is_relative_to(HERE):
            # The proxy hangs up in the middle on purpose, and what it leaves is collected later.
            item.add_marker(pytest.mark.filterwarnings(UNCLOSED))
    left_out = [item for item in items if not wanted(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if wanted(item)]
    items.sort(key=lambda item: "row_36" not in item.name)  # the longest one begins at once


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with ExitStack() as servers:

        def start(options: PebbleOptions | None = None) -> Scene:
            return Scene(tmp_path, servers, options or PebbleOptions(rejected_nonces=0))

        yield start


@pytest.fixture
def scene(play: Play) -> Scene:
    """An authority that refuses no nonces of its own accord."""
    return play()


@pytest.fixture(params=list(PEERS))
def peer_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def peer(peer_name: str, scene: Scene) -> Peer:
    """A peer at that scene."""
    return PEERS[peer_name](scene)
