from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import NOW
from tests.fakes.users_office import bundle

from gatecert.client_ca.bundle import Bundle
from gatecert.client_ca.bundle_files import BundleFiles
from gatecert.errors import StorageError
from gatecert.store import durable
from gatecert.store.kept_files import KeptFiles

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.users_office import Office


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_bundle_is_written_to_the_path_of_the_server(office: Office, tmp_path: Path) -> None:
    files = BundleFiles(tmp_path)
    assert not files.exists()
    assert files.read() == Bundle()

    wanted = bundle(office.root())
    files.write(wanted, now=NOW)

    assert files.path == tmp_path / "client-ca" / "bundle.pem"
    assert files.exists()
    assert files.read() == wanted
    assert (mode(files.path), mode(files.path.parent)) == (0o600, 0o700)


def test_key_group_may_read_the_bundle(tmp_path: Path) -> None:
    files = BundleFiles(tmp_path, str(os.getegid()))

    files.write(Bundle(), now=NOW)

    assert (mode(files.path), mode(files.path.parent)) == (0o640, 0o750)
    assert files.path.stat().st_gid == os.getegid()


def test_modification_time_is_in_the_next_second(office: Office, tmp_path: Path) -> None:
    files = BundleFiles(tmp_path)

    files.write(bundle(office.root()), now=NOW)

    assert files.path.stat().st_mtime > int(time.time())


def test_previous_bundle_is_kept_and_forgotten(office: Office, tmp_path: Path) -> None:
    files = BundleFiles(tmp_path)
    before = bundle(office.root())
    assert files.previous() is None

    files.keep_previous(before, now=NOW)
    assert files.previous() == before
    files.keep_previous(Bundle(), now=NOW)
    assert files.previous() == Bundle()

    files.forget_previous()
    files.forget_previous()
    assert files.previous() is None


@pytest.mark.parametrize("damage", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nMIIB\n"])
def test_damaged_bundle_is_an_error(tmp_path: Path, damage: bytes) -> None:
    files = BundleFiles(tmp_path)
    files.write(Bundle(), now=NOW)
    files.path.write_bytes(damage)

    with pytest.raises(
        StorageError, match="is damaged, so the client CAs cannot be read"
    ) as caught:
        files.read()
    assert "gatecert client-ca add" in caught.value.fix


def test_directory_in_place_of_the_bundle_is_an_error(tmp_path: Path) -> None:
    files = BundleFiles(tmp_path)
    files.path.mkdir(parents=True)

    assert not files.exists()
    with pytest.raises(StorageError, match="it is a directory"):
        files.read()


def test_full_disk_leaves_the_bundle_unchanged(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = BundleFiles(tmp_path)
    files.write(bundle(office.root()), now=NOW)
    before = files.path.read_bytes()

    def full(step: str, _: Path) -> None:
        if step == "write":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "on_step", full)
    with pytest.raises(StorageError, match="disk full"):
        files.write(Bundle(), now=NOW)

    assert files.path.read_bytes() == before
    assert [path.name for path in files.path.parent.iterdir()] == ["bundle.pem"]


def test_bundle_is_written_even_if_its_time_cannot_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "utime", refuse)
    files = BundleFiles(tmp_path)
    files.write(Bundle(), now=NOW)

    assert files.read() == Bundle()


def test_a_bundle_that_is_unchanged_is_parsed_once_in_a_process(
    office: Office, tmp_path: Path
) -> None:
    kept: KeptFiles[Bundle] = KeptFiles()
    BundleFiles(tmp_path).write(bundle(office.root()), now=NOW)
    first = BundleFiles(tmp_path, None, kept).read()
    assert BundleFiles(tmp_path, None, kept).read() is first
    other = bundle(office.root("other"))
    BundleFiles(tmp_path).write(other, now=NOW)
    assert BundleFiles(tmp_path, None, kept).read() == other
