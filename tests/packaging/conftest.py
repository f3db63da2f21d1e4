"""The package that `make deb` has built in dist/."""

from __future__ import annotations

from pathlib import Path

import pytest

import gatecert

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def package() -> Path:
    """The package from `make deb`."""
    (found,) = (PROJECT / "dist").glob(f"gatecert_{gatecert.__version__}_*.deb")
    return found
