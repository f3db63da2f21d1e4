"""CRLs are stored by URL; a damaged one counts as missing."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.model import StoredList
from gatecert.store.crl_cache import RETENTION
from gatecert.store.state_directory import hold_state_directory

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.store.file_store import FileStore

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
URL = "http://ca.example/../1.crl"
LIST = StoredList(b"\x30\x00", NOW, '"1"', "Mon, 23 Nov 2026 08:15:00 GMT")


def files(store: FileStore) -> list[Path]:
    return sorted((store.directory / "revocation-lists").iterdir())


def test_a_crl_is_found_by_its_url(store: FileStore) -> None:
    assert store.revocation_list(URL) is None
    store.save_revocation_list(URL, LIST)
    assert store.revocation_list(URL) == LIST
    assert store.revocation_list("http://ca.example/2.crl") is None
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(store)} == {0o600}
    assert len(files(store)) == 2


def test_a_newer_crl_replaces_the_old_one(store: FileStore) -> None:
    store.save_revocation_list(URL, LIST)
    newer = StoredList(b"\x30\x01", NOW + timedelta(hours=1))
    store.save_revocation_list(URL, newer)
    assert store.revocation_list(URL) == newer
    assert len(files(store)) == 2


def test_an_unchanged_crl_is_not_rewritten(store: FileStore) -> None:
    store.save_revocation_list(URL, LIST)
    before = [path.stat().st_ino for path in files(store) if path.suffix == ".crl"]
    store.save_revocation_list(URL, StoredList(LIST.data, NOW + timedelta(hours=1)))
    assert [path.stat().st_ino for path in files(store) if path.suffix == ".crl"] == before
    kept = store.revocation_list(URL)
    assert kept is not None
    assert kept.fetched == NOW + timedelta(hours=1)


def test_a_damaged_or_missing_file_counts_as_no_crl(store: FileStore) -> None:
    store.save_revocation_list(URL, LIST)
    (crl,) = (path for path in files(store) if path.suffix == ".crl")
    crl.write_bytes(b"\x30")
    assert store.revocation_list(URL) is None
    crl.unlink()
    assert store.revocation_list(URL) is None
    store.save_revocation_list(URL, LIST)
    assert store.revocation_list(URL) == LIST
    crl.with_suffix(".json").write_text("{}")
    assert store.revocation_list(URL) is None


def test_unused_crls_are_removed(store: FileStore) -> None:
    store.save_revocation_list(URL, LIST)
    later = StoredList(b"\x30\x01", NOW + RETENTION + timedelta(seconds=1))
    store.save_revocation_list("http://ca.example/2.crl", later)
    assert store.revocation_list(URL) is None
    assert len(files(store)) == 2


def test_temporary_files_of_a_crash_are_removed(store: FileStore) -> None:
    store.save_revocation_list(URL, LIST)
    with hold_state_directory(store.directory):
        assert store.revocation_list(URL) == LIST
