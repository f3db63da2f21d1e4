"""The probe without port 80; the booted tests do the rest (tests/systemd/test_init.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.setup.webroot_probe import is_served

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_that_cannot_be_written_is_not_served(tmp_path: Path) -> None:
    assert not is_served(tmp_path / "missing", "gate.widgets.test")
