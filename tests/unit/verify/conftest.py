"""A small CA, and correct and faulty TLS listeners on loopback."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.fakes.listeners import Authority, Handler, TLSServer, issue, listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatecert.model import Endpoint


@pytest.fixture(scope="session")
def authority() -> Authority:
    root = issue("root of the test")
    return Authority(root, issue("intermediate of the test", root))


@pytest.fixture
def server(tmp_path: Path) -> TLSServer:
    return TLSServer(tmp_path)


@pytest.fixture
def listen() -> Iterator[Callable[..., Endpoint]]:
    """Return a function that starts listeners, which end with the test."""
    with ExitStack() as stack:

        def start(handle: Handler, host: str = "127.0.0.1") -> Endpoint:
            return stack.enter_context(listening(handle, host))

        yield start
