from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatecert.deploy.live import LiveDirectory
from gatecert.errors import CopyError, StorageError
from gatecert.model import FileContents, FileCopy, InstallPlan, IssuedChain, Origin
from gatecert.model import Version as StoredVersion
from gatecert.store import durable
from gatecert.store.file_store import FileStore

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
KEY = b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"


def certificate(body: str) -> bytes:
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n".encode()


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "state")


@pytest.fixture
def live(store: FileStore) -> LiveDirectory:
    return LiveDirectory(store.gateway_directory("boston"))


def add(store: FileStore, body: str = "MIIB") -> StoredVersion:
    issued = IssuedChain(KEY, certificate(body), b"", Origin.AUTHORITY)
    return store.add_version("boston", issued, now=NOW)


# --------------------------------------------------------------------------- the link


def test_before_anything_is_installed(live: LiveDirectory) -> None:
    assert live.current() is None


def test_swapping(store: FileStore, live: LiveDirectory) -> None:
    first, second = add(store, "AAAA"), add(store, "BBBB")
    live.swap(first)
    assert live.current() == first.id
    assert (live.path / "fullchain.pem").read_bytes() == certificate("AAAA")
    live.swap(second)
    assert live.current() == second.id
    assert (live.path / "fullchain.pem").read_bytes() == certificate("BBBB")
    assert live.path.readlink() == Path("versions") / second.id


def test_a_restored_version_is_newer_than_what_it_replaces(
    store: FileStore, live: LiveDirectory
) -> None:
    first, second = add(store, "AAAA"), add(store, "BBBB")
    (store.version_directory(first) / "gone.pem").symlink_to("nowhere")  # must not be in the way
    live.swap(second)
    last_look = int(time.time())
    live.swap(first)
    for name in ("privkey.pem", "cert.pem", "chain.pem", "fullchain.pem"):
        assert (live.path / name).stat().st_mtime > last_look


def test_a_moved_state_directory_keeps_its_live_link(
    store: FileStore, live: LiveDirectory, tmp_path: Path
) -> None:
    version = add(store)
    live.swap(version)
    (tmp_path / "state").rename(tmp_path / "moved")
    moved = LiveDirectory(FileStore(tmp_path / "moved").gateway_directory("boston"))
    assert moved.current() == version.id


def test_an_absolute_link_is_understood(store: FileStore, live: LiveDirectory) -> None:
    version = add(store)
    live.path.symlink_to(store.version_directory(version))
    assert live.current() == version.id


@pytest.mark.parametrize(
    "destination", ["versions/000009-20261123T081500Z", "versions", "versions/../versions", "/etc"]
)
def test_a_dangling_or_foreign_link_leads_nowhere_and_is_replaced(
    store: FileStore, live: LiveDirectory, destination: str
) -> None:
    version = add(store)
    live.path.symlink_to(destination)
    assert live.current() is None
    live.swap(version)
    assert live.current() == version.id


def test_something_else_in_its_place_is_set_aside(store: FileStore, live: LiveDirectory) -> None:
    version = add(store)
    live.path.mkdir()
    (live.path / "by-hand.pem").write_text("kept")
    assert live.current() is None
    live.swap(version)
    assert live.current() == version.id
    (aside,) = live.path.parent.glob("live.damaged-*")
    assert (aside / "by-hand.pem").read_text() == "kept"


def test_the_link_is_never_missing(
    store: FileStore, live: LiveDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = add(store), add(store)
    live.swap(first)
    seen: list[str | None] = []
    monkeypatch.setattr(durable, "on_step", lambda *_: seen.append(live.current()))
    live.swap(second)
    assert set(seen) == {first.id, second.id}
    assert seen == sorted(seen, key=str)


def test_swapping_to_where_it_leads_touches_nothing(
    store: FileStore, live: LiveDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = add(store)
    live.swap(version)
    steps: list[str] = []
    monkeypatch.setattr(durable, "on_step", lambda name, _: steps.append(name))
    live.swap(version)
    assert steps == []


def test_a_failed_swap_leaves_the_link_alone(
    store: FileStore, live: LiveDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = add(store), add(store)
    live.swap(first)

    def refuse(name: str, _: Path) -> None:
        if name == "replace":
            raise OSError(30, os.strerror(30))

    monkeypatch.setattr(durable, "on_step", refuse)
    with pytest.raises(StorageError, match="read-only"):
        live.swap(second)
    assert live.current() == first.id


# --------------------------------------------------------------------------- installing


def test_installing_swaps_and_copies(store: FileStore, live: LiveDirectory, tmp_path: Path) -> None:
    version = add(store)
    copy = FileCopy(tmp_path / "server.pem", FileContents.COMBINED)
    live.install(InstallPlan(copy_to=(copy,)), version, KEY)
    assert live.current() == version.id
    assert copy.path.read_bytes() == certificate("MIIB") + KEY


def test_a_failed_copy_comes_after_the_swap(
    store: FileStore, live: LiveDirectory, tmp_path: Path
) -> None:
    version = add(store)
    copy = FileCopy(tmp_path / "missing" / "server.pem", FileContents.COMBINED)
    with pytest.raises(CopyError):
        live.install(InstallPlan(copy_to=(copy,)), version, KEY)
    assert live.current() == version.id
