"""A CA that has issued the certificates of other clients."""

from __future__ import annotations

import pytest
from tests.fakes.client_directories import Office


@pytest.fixture(scope="module")
def office() -> Office:
    return Office()
