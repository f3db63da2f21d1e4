from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from gatecert.errors import StorageError
from gatecert.store.tokens import FORGOTTEN_AFTER

if TYPE_CHECKING:
    from gatecert.store.files import FileStore

Fail = Callable[[str, int], None]

TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"  # noqa: S105 - the one of RFC 8555
ILL_FORMED = ["", ".", "..", "../lock", "/etc/passwd", "a/b", "a\0b", "a b", "a=", "é", "x" * 201]


def test_comes_back_until_forgotten(store: FileStore) -> None:
    assert store.token(TOKEN) is None
    store.put_token(TOKEN, f"{TOKEN}.thumbprint")
    assert store.token(TOKEN) == f"{TOKEN}.thumbprint"
    path = store.directory / "challenges" / TOKEN
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store.remove_token(TOKEN)
    store.remove_token(TOKEN)
    assert store.token(TOKEN) is None


@pytest.mark.parametrize("token", ILL_FORMED)
def test_ill_formed_tokens_write_nothing(store: FileStore, token: str) -> None:
    with pytest.raises(ValueError, match="not base64url"):
        store.put_token(token, "x.y")
    assert store.token(token) is None
    store.remove_token(token)
    assert not store.directory.exists()


@pytest.mark.parametrize("content", [b"", b"\xff"])
def test_a_damaged_token_is_unknown(store: FileStore, content: bytes) -> None:
    store.put_token(TOKEN, "x.y")
    (store.directory / "challenges" / TOKEN).write_bytes(content)
    assert store.token(TOKEN) is None


def test_a_directory_in_its_place_is_unknown(store: FileStore) -> None:
    (store.directory / "challenges" / TOKEN).mkdir(parents=True)
    assert store.token(TOKEN) is None


def test_unwritable(store: FileStore, fail: Fail) -> None:
    fail("write", errno.ENOSPC)
    with pytest.raises(StorageError, match="disk full"):
        store.put_token(TOKEN, "x.y")


def grow_old(store: FileStore, token: str) -> None:
    then = time.time() - FORGOTTEN_AFTER - 60
    os.utime(store.directory / "challenges" / token, (then, then))


def test_the_daemon_forgets_what_a_crash_left(store: FileStore) -> None:
    store.put_token("old", "x.y")
    store.put_token("new", "x.y")
    grow_old(store, "old")
    with store.hold():
        assert store.token("old") is None
        assert store.token("new") == "x.y"


def test_old_tokens_that_cannot_be_removed_are_no_error(
    store: FileStore, fail: Fail, caplog: pytest.LogCaptureFixture
) -> None:
    store.put_token("old", "x.y")
    grow_old(store, "old")
    fail("remove", errno.EIO)
    with store.hold():
        assert "stay behind" in caplog.text
