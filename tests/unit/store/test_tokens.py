from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatecert.errors import StorageError
from gatecert.store.state_directory import hold_state_directory
from gatecert.store.tokens import ABANDONED_AFTER, EARLIER

if TYPE_CHECKING:
    from gatecert.store.file_store import FileStore

Fail = Callable[[str, int], None]

TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"  # noqa: S105 - the one of RFC 8555
ILL_FORMED = ["", ".", "..", "../lock", "/etc/passwd", "a/b", "a\0b", "a b", "a=", "é", "x" * 201]


@pytest.mark.parametrize("length", [1, 200])
def test_every_valid_token_can_be_stored(store: FileStore, length: int) -> None:
    store.put_token("http-01", "x" * length, "x.y")
    assert store.token("http-01", "x" * length) == "x.y"


def test_a_token_is_stored_until_it_is_removed(store: FileStore) -> None:
    assert store.token("http-01", TOKEN) is None
    store.put_token("http-01", TOKEN, f"{TOKEN}.thumbprint")
    assert store.token("http-01", TOKEN) == f"{TOKEN}.thumbprint"
    path = store.directory / "challenges" / TOKEN
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store.remove_token("http-01", TOKEN)
    store.remove_token("http-01", TOKEN)
    assert store.token("http-01", TOKEN) is None


@pytest.mark.parametrize("token", ILL_FORMED)
def test_malformed_tokens_write_nothing(store: FileStore, token: str) -> None:
    with pytest.raises(ValueError, match="not base64url"):
        store.put_token("http-01", token, "x.y")
    assert store.token("http-01", token) is None
    store.remove_token("http-01", token)
    assert not store.directory.exists()


@pytest.mark.parametrize("content", [b"", b"\xff"])
def test_a_damaged_token_is_unknown(store: FileStore, content: bytes) -> None:
    store.put_token("http-01", TOKEN, "x.y")
    (store.directory / "challenges" / TOKEN).write_bytes(content)
    assert store.token("http-01", TOKEN) is None


def test_a_directory_in_place_of_a_token_is_unknown(store: FileStore) -> None:
    (store.directory / "challenges" / TOKEN).mkdir(parents=True)
    assert store.token("http-01", TOKEN) is None


def test_a_failed_write_is_a_storage_error(store: FileStore, fail: Fail) -> None:
    fail("write", errno.ENOSPC)
    with pytest.raises(StorageError, match="disk full"):
        store.put_token("http-01", TOKEN, "x.y")


def abandon(store: FileStore, token: str) -> None:
    """Change the process of a token to an ended one."""
    path = store.directory / "challenges" / token
    path.write_text("x.y\n999999999-0123abcd\n")


def grow_old(store: FileStore, token: str) -> None:
    then = time.time() - ABANDONED_AFTER - 60
    os.utime(store.directory / "challenges" / token, (then, then))


def test_tokens_of_ended_processes_are_abandoned(store: FileStore) -> None:
    assert store.abandoned_tokens("http-01") == ()
    for token in ("mine", "gone", "old", "damaged"):
        store.put_token("http-01", token, "x.y")
    abandon(store, "gone")
    grow_old(store, "old")
    (store.directory / "challenges" / "damaged").write_bytes(b"\xff")
    (store.directory / "challenges" / "no token").write_bytes(b"")

    assert sorted(store.abandoned_tokens("http-01")) == ["damaged", "gone", "old"]
    assert store.token("http-01", "gone") == "x.y"


def test_a_token_removed_meanwhile_is_not_abandoned(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put_token("http-01", "gone", "x.y")
    abandon(store, "gone")
    monkeypatch.setattr(Path, "iterdir", lambda path: iter([path / "vanished"]))
    assert store.abandoned_tokens("http-01") == ()


def test_a_daemon_removes_the_temporary_files_of_a_crash(store: FileStore) -> None:
    store.put_token("http-01", "new", "x.y")
    leftover = store.directory / "challenges" / ".tmp-999999999-0123abcd-1"
    leftover.write_text("half")
    with hold_state_directory(store.directory):
        assert not leftover.exists()
        assert store.token("http-01", "new") == "x.y"


def test_each_type_has_its_own_tokens(store: FileStore) -> None:
    store.put_token("tls-alpn-01", TOKEN, "tls.key")
    assert store.token("http-01", TOKEN) is None
    store.put_token("http-01", TOKEN, "http.key")
    assert store.token("tls-alpn-01", TOKEN) == "tls.key"
    store.remove_token("http-01", TOKEN)
    assert store.token("tls-alpn-01", TOKEN) == "tls.key"


@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01"])
def test_only_a_responder_of_its_type_finds_a_stored_response(store: FileStore, kind: str) -> None:
    other = {"http-01": "tls-alpn-01", "tls-alpn-01": "http-01"}[kind]
    store.put_token(kind, TOKEN, "x.y")
    (path,) = (store.directory / "challenges").iterdir()
    for token in (path.name, TOKEN, f"{kind}.{TOKEN}", f"{kind}_{TOKEN}"):
        assert store.token(other, token) is None


def test_abandoned_tokens_are_those_of_a_type(store: FileStore) -> None:
    store.put_token("tls-alpn-01", "gone", "x.y")
    store.put_token("http-01", "old", "x.y")
    abandon(store, "tls-alpn-01.gone")
    grow_old(store, "old")
    assert store.abandoned_tokens("tls-alpn-01") == ("gone",)
    assert store.abandoned_tokens("http-01") == ("old",)


def test_a_response_of_an_earlier_version_is_only_cleaned_up(store: FileStore) -> None:
    """Its name could be asked for over HTTP."""
    store.put_token("http-01", EARLIER + TOKEN, "x.y")
    assert store.token("http-01", EARLIER + TOKEN) is None
    assert store.token("tls-alpn-01", TOKEN) is None
    abandon(store, EARLIER + TOKEN)
    (left,) = store.abandoned_tokens("http-01")
    store.remove_token("http-01", left)
    assert list((store.directory / "challenges").iterdir()) == []
