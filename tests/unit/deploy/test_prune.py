from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatecert.deploy.inventory import Inventory
from gatecert.deploy.prune import prune, superfluous
from gatecert.errors import StorageError
from gatecert.model import IssuedChain, Origin, Target, Version
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
KEY = b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

BOOTSTRAP, AUTHORITY, IMPORTED = Origin.BOOTSTRAP, Origin.AUTHORITY, Origin.IMPORTED


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "state")


def add(store: FileStore, origin: Origin) -> Version:
    return store.add_version("boston", IssuedChain(KEY, CERTIFICATE, b"", origin), now=NOW)


def versions(*origins: Origin | None) -> list[Version]:
    """Newest first; the first is ``0``."""
    return [
        Version(str(number), "boston", b"", b"", origin) for number, origin in enumerate(origins)
    ]


@pytest.mark.parametrize(
    ("origins", "keep", "live", "needed", "gone"),
    [
        ([], 5, None, (), ""),
        ([AUTHORITY] * 3, 5, "0", (), ""),
        ([AUTHORITY] * 7, 5, "0", (), "56"),
        ([AUTHORITY] * 7, 1, "0", (), "123456"),
        ([AUTHORITY] * 7, 2, "6", (), "12345"),  # rolled back; the newest is tried again
        ([AUTHORITY] * 7, 3, "0", ("6",), "2345"),
        ([BOOTSTRAP, BOOTSTRAP, BOOTSTRAP, AUTHORITY, AUTHORITY], 2, "0", (), "124"),
        ([BOOTSTRAP, BOOTSTRAP, BOOTSTRAP, IMPORTED, AUTHORITY], 2, "0", (), "124"),
        ([BOOTSTRAP, BOOTSTRAP, None, None, AUTHORITY], 3, "0", (), "13"),
        ([AUTHORITY] * 3, 2, None, (), "2"),
        ([AUTHORITY] * 3, 2, "long gone", ("gone, too",), "2"),
    ],
)
def test_old_versions_are_pruned(
    origins: list[Origin | None],
    keep: int,
    live: str | None,
    needed: tuple[str, ...],
    gone: str,
) -> None:
    needed = (*needed, live) if live is not None else needed
    found = superfluous(versions(*origins), keep=keep, needed=needed)
    assert "".join(version.id for version in found) == gone


@given(
    origins=st.lists(st.sampled_from([BOOTSTRAP, AUTHORITY, IMPORTED, None]), max_size=12),
    keep=st.integers(1, 12),
    live=st.integers(0, 12),
    needed=st.sets(st.integers(0, 12).map(str), max_size=3),
)
def test_required_versions_are_kept(
    origins: list[Origin | None],
    keep: int,
    live: int,
    needed: set[str],
) -> None:
    every = versions(*origins)
    gone = superfluous(every, keep=keep, needed={str(live), *needed})
    stays = [version for version in every if version not in gone]
    ids = {version.id for version in stays}
    assert len(stays) >= min(keep, len(every))
    assert ids >= {version.id for version in every} & {str(live), *needed}
    for version in every:
        if version.origin in {AUTHORITY, IMPORTED}:
            assert version in stays
            break


def inventory(store: FileStore) -> Inventory:
    target = Target("boston", (), "boston.example.com")
    return Inventory((), None, target, store.versions("boston"))


def test_pruning_the_disk(store: FileStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    trusted = add(store, AUTHORITY)
    old, *newer = [add(store, BOOTSTRAP) for _ in range(3)]
    left = prune(store, inventory(store), keep=3, needed=[newer[-1].id])
    assert left.versions == store.versions("boston")
    assert store.versions("boston") == (*reversed(newer), trusted)
    assert not store.version_directory(old).exists()
    assert f"pruned gateway=boston version={old.id}" in caplog.text


class Stubborn(FileStore):
    """Lets nothing be removed."""

    def remove_version(self, version: Version) -> None:
        raise StorageError(f"cannot remove {version.id}: read-only file system")


def test_failing_to_prune_is_no_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Stubborn(tmp_path / "state")
    old, new = add(store, AUTHORITY), add(store, AUTHORITY)
    left = prune(store, inventory(store), keep=1, needed=[new.id])
    assert left.versions == (new, old)
    assert store.versions("boston") == (new, old)
    assert "old versions stay gateway=boston" in caplog.text
