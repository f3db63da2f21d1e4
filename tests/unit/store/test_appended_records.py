"""Records that are appended; the store's tests of rate limit usage cover damage and crashes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gatecert.model import TextRecord
from gatecert.store import durable
from gatecert.store.appended_records import AppendedRecords
from gatecert.store.damaged_files import DamagedRecordError

if TYPE_CHECKING:
    from pathlib import Path

A, B, C = (TextRecord(name, "value", "example") for name in "abc")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.jsonl"


def records_in(path: Path, *, largest: int = 10_000) -> AppendedRecords[TextRecord]:
    return AppendedRecords(path, TextRecord, largest=largest)


def test_only_new_records_are_returned(path: Path) -> None:
    ours, others = records_in(path), records_in(path)
    assert ours.read() == (True, [])
    ours.append([A, B])
    assert ours.read() == others.read() == (True, [A, B])
    assert ours.read() == (False, [])
    others.append([C])
    assert ours.read() == others.read() == (False, [C])
    assert ours.lines == 3


def test_after_rewriting_all_records_are_returned(path: Path) -> None:
    ours, others = records_in(path), records_in(path)
    for each in (A, B):
        ours.append([each])
        ours.read()
        others.read()
    others.rewrite([B, C])
    assert ours.read() == others.read() == (True, [B, C])
    assert ours.lines == 2


def test_a_used_inode_is_not_mistaken_for_the_same_file(path: Path) -> None:
    ours = records_in(path)
    ours.append([A])
    ours.read()
    with path.open("r+b") as file:
        file.write(path.read_bytes().replace(b'"a"', b'"b"'))
        file.seek(0, os.SEEK_END)
        file.write(path.read_bytes())
    assert ours.read() == (True, [B, B])


def test_the_directory_is_synced_before_the_first_record_is_appended(
    path: Path, steps: list[tuple[str, Path]]
) -> None:
    """A crash may have followed the rename by which the file appeared."""
    records_in(path).append([A])
    ours = records_in(path)
    ours.read()
    steps.clear()
    for each in (B, C):
        ours.append([each])
        ours.read()
    synced = [where for name, where in steps if name == "sync"]
    assert synced == [path.parent, path, path]


def test_records_of_another_kind_damage_the_file(path: Path) -> None:
    durable.write_file(path, b'{"schema": 1, "name": 1}\n', mode=0o600)
    for damaged in (records_in(path), records_in(path.parent)):
        with pytest.raises(DamagedRecordError):
            damaged.read()


def test_a_file_that_is_too_large_is_damaged(path: Path) -> None:
    small = records_in(path, largest=10)
    small.append([A])
    with pytest.raises(DamagedRecordError, match="more than 10 bytes"):
        small.read()
