"""Nameservers on loopback for the tests of look-ups."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from tests.fakes.nameserver import message_nameserver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fakes.nameserver import MessageHandler

    from gatecert.model import Endpoint


@pytest.fixture
def nameserver() -> Iterator[Callable[[MessageHandler], Endpoint]]:
    """Start nameservers; a handler gets a query and "udp" or "tcp" and returns wire data."""
    with contextlib.ExitStack() as stack:
        yield lambda handler: stack.enter_context(message_nameserver(handler))
