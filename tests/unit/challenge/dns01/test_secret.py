"""Secrets are read from files; errors contain neither content nor path."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

from gatecert.challenge.dns01.secret import read_secret
from gatecert.errors import ProviderNotContactedError

if TYPE_CHECKING:
    from pathlib import Path

KEY = "challenges.dns-01.credentials.auth_token"


@pytest.mark.parametrize("content", [b" pa ss\r\n\n", b"\xef\xbb\xbfpa ss\r\n"])
def test_surrounding_white_space_is_ignored(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)

    assert read_secret(path, KEY) == "pa ss"


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read: no such file"), (b"\n", "is empty"), (b"\xffx", "is not text")],
)
def test_errors_name_the_key(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "looks-like-a-secret"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ProviderNotContactedError) as caught:
        read_secret(path, KEY)

    assert f"the file of {KEY} {said}" in caught.value.message
    assert caught.value.fix
    assert "looks-like-a-secret" not in str(caught.value)


def test_a_traceback_does_not_contain_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"hunter2\xff")

    with pytest.raises(ProviderNotContactedError) as caught:
        read_secret(path, KEY)

    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
