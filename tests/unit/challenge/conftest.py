"""A token store in memory, free ports, and the requests of an authority."""

from __future__ import annotations

import pytest
from tests.fakes.loopback import LOOPBACK, free_port
from tests.fakes.token_store import Tokens

from gatecert.model import Endpoint


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint(LOOPBACK, free_port())


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()
