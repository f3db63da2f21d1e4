"""Client CAs for the tests, valid or with a chosen fault."""

from __future__ import annotations

import pytest
from tests.fakes.pki import Pki
from tests.fakes.users_office import Office


@pytest.fixture(scope="session")
def office() -> Office:
    return Office(Pki())
