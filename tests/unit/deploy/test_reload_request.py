"""Reload requests for systemd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.deploy.reload_request import FILE_NAME, request_reload
from gatecert.errors import ReloadError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_reload_request_is_a_private_file(tmp_path: Path) -> None:
    request_reload(tmp_path, "20261123T081500Z-1")

    wish = tmp_path / FILE_NAME
    assert wish.read_text("utf-8") == "20261123T081500Z-1\n"
    assert wish.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [wish]


def test_a_pending_reload_request_is_renewed(tmp_path: Path) -> None:
    request_reload(tmp_path, "first")
    request_reload(tmp_path, "second")

    assert (tmp_path / FILE_NAME).read_text("utf-8") == "second\n"


def test_a_link_in_its_place_is_replaced_and_never_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched", "utf-8")
    (tmp_path / FILE_NAME).symlink_to(victim)

    request_reload(tmp_path, "version")

    assert victim.read_text("utf-8") == "untouched"
    assert not (tmp_path / FILE_NAME).is_symlink()


def test_a_reload_request_that_cannot_be_written_is_a_failed_reload(tmp_path: Path) -> None:
    with pytest.raises(ReloadError) as caught:
        request_reload(tmp_path / "missing", "version")

    assert str(tmp_path / "missing") in caught.value.message
    assert caught.value.fix
