from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.monitoring.deliver import SecretFileError, read_urls
from gatecert.trusted_files import WeakFileError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "s3cret"
    path.touch(0o600)
    return path


def test_urls_are_lines(file: Path) -> None:
    file.write_text("# ours\n\n  mailto://a  \njson://b\n")
    assert read_urls(str(file)) == ["mailto://a", "json://b"]


@pytest.mark.parametrize("content", [b"", b"# only this\n", b"\xff\xfe", b"x" * 70_000])
def test_a_file_without_a_url_is_an_error_without_its_name(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(SecretFileError) as caught:
        read_urls(str(file))
    assert "s3cret" not in str(caught.value)


def test_a_file_that_others_may_change_is_not_used(file: Path) -> None:
    file.write_text("mailto://a")
    file.chmod(0o666)
    with pytest.raises(WeakFileError):
        read_urls(str(file))


def test_what_is_no_file_is_an_error(tmp_path: Path) -> None:
    for name in ("missing", "."):
        with pytest.raises(SecretFileError):
            read_urls(str(tmp_path / name))
