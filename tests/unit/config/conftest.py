"""Fixtures of the configuration tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.config.load import load
from gatecert.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatecert.config.schema import Configuration


@pytest.fixture
def configuration(tmp_path: Path) -> Callable[[str], Configuration]:
    """Load a valid configuration."""

    def loaded(written: str) -> Configuration:
        path = tmp_path / "config.yaml"
        path.write_text(written, encoding="utf-8")
        return load(path)

    return loaded


@pytest.fixture
def complaints(tmp_path: Path) -> Callable[[str], list[str]]:
    """Return the errors of an invalid configuration, each as ``line: key: what``."""

    def told(written: str) -> list[str]:
        path = tmp_path / "config.yaml"
        path.write_text(written, encoding="utf-8")
        with pytest.raises(ConfigurationError) as caught:
            load(path)
        return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]

    return told
