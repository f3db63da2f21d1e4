"""A small PKI: CAs and certificates with any defect."""

from __future__ import annotations

import pytest
from tests.fakes.pki import NAME, Good, Pki


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="session")
def good(pki: Pki) -> Good:
    root = pki.root()
    intermediate = pki.authority("Intermediate", root)
    return Good(root, intermediate, pki.issue(NAME, intermediate))
