"""TXT records are stored before publication and removed after withdrawal, across crashes."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatecert.model import TextRecord
from gatecert.store.file_store import FileStore
from gatecert.store.state_directory import hold_state_directory

if TYPE_CHECKING:
    from pathlib import Path

RECORD = TextRecord("_acme-challenge.vpn.example.com", "value", "example.com")

PUBLISH_AND_DIE = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from gatecert.model import TextRecord
from gatecert.store.file_store import FileStore
record = TextRecord("_acme-challenge.vpn.example.com", "value", "example.com")
FileStore(Path(sys.argv[1])).add_record(record, now=datetime.now(UTC))
os._exit(9)
"""


@pytest.fixture
def present() -> datetime:
    return datetime.now(UTC)


def test_a_record_is_stored_until_it_is_removed(tmp_path: Path, present: datetime) -> None:
    store = FileStore(tmp_path)

    published = store.add_record(RECORD, now=present)

    assert FileStore(tmp_path).records() == (published,)
    assert published.record == RECORD
    assert not published.abandoned
    store.remove_record(published)
    store.remove_record(published)
    assert store.records() == ()


def test_each_publication_of_a_record_is_stored_separately(
    tmp_path: Path, present: datetime
) -> None:
    store = FileStore(tmp_path)
    first = store.add_record(RECORD, now=present)
    second = store.add_record(RECORD, now=present + timedelta(seconds=1))

    assert store.records() == (first, second)
    store.remove_record(first)

    assert store.records() == (second,)


def test_there_are_no_records_before_the_first_publication(tmp_path: Path) -> None:
    assert FileStore(tmp_path / "missing").records() == ()


def test_a_record_of_a_dead_process_is_abandoned(tmp_path: Path) -> None:
    died = subprocess.run([sys.executable, "-c", PUBLISH_AND_DIE, str(tmp_path)], check=False)

    (published,) = FileStore(tmp_path).records()

    assert died.returncode == 9
    assert published.record == RECORD
    assert published.abandoned


def test_a_released_record_is_abandoned(tmp_path: Path, present: datetime) -> None:
    store = FileStore(tmp_path)
    published = store.add_record(RECORD, now=present)

    store.abandon_record(published)

    (again,) = store.records()
    assert again.abandoned
    assert again.id == published.id


@pytest.mark.parametrize("days", [2, -2])
def test_a_record_older_than_a_day_is_abandoned(
    tmp_path: Path, present: datetime, days: int
) -> None:
    store = FileStore(tmp_path)
    store.add_record(RECORD, now=present - timedelta(days=days))

    assert store.records()[0].abandoned


def test_only_the_owner_can_read_records(tmp_path: Path, present: datetime) -> None:
    FileStore(tmp_path).add_record(RECORD, now=present)

    (path,) = (tmp_path / "records").iterdir()

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_damaged_file_does_not_affect_the_others(tmp_path: Path, present: datetime) -> None:
    store = FileStore(tmp_path)
    published = store.add_record(RECORD, now=present)
    (tmp_path / "records" / "0123456789abcdef.json").write_bytes(b"\x00garbage")

    assert store.records() == (published,)
    assert [path.name for path in (tmp_path / "records").glob("*.damaged-*")]


def test_holding_the_state_directory_removes_temporary_files(
    tmp_path: Path, present: datetime
) -> None:
    store = FileStore(tmp_path)
    published = store.add_record(RECORD, now=present)
    half_written = tmp_path / "records" / f".tmp-{os.getpid()}-00000000-1"
    half_written.touch()

    with hold_state_directory(store.directory):
        assert not half_written.exists()

    assert store.records() == (published,)
