"""Fixtures of the set-up's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.config.load import load

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
