"""The package that `make deb` has built in dist/."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import gatecert

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def package() -> Path:
    """The package from `make deb`."""
    (found,) = (PROJECT / "dist").glob(f"gatecert_{gatecert.__version__}_*.deb")
    return found


@pytest.fixture(scope="session")
def tree(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the package."""
    directory = tmp_path_factory.mktemp("package")
    subprocess.run(["dpkg-deb", "--extract", package, directory], check=True)
    return directory
