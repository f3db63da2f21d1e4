from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gatecert.store.kept_files import KeptFiles

if TYPE_CHECKING:
    from pathlib import Path


class Reader:
    """Reads a file and counts how often."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.times = 0

    def __call__(self) -> str | None:
        self.times += 1
        return self.path.read_text() if self.path.exists() else None


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    path = tmp_path / "file"
    path.write_text("one")
    return Reader(path)


def test_a_file_that_is_unchanged_is_read_once(reader: Reader) -> None:
    kept: KeptFiles[str] = KeptFiles()
    assert [kept.get(reader.path, reader) for _ in range(3)] == ["one"] * 3
    assert reader.times == 1


def test_a_file_of_the_same_size_that_took_its_place_is_read(reader: Reader) -> None:
    kept: KeptFiles[str] = KeptFiles()
    kept.get(reader.path, reader)
    before = reader.path.stat()
    other = reader.path.with_name("other")
    other.write_text("two")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(reader.path)
    assert kept.get(reader.path, reader) == "two"


def test_a_file_that_is_gone_is_not_kept(reader: Reader) -> None:
    kept: KeptFiles[str] = KeptFiles()
    kept.get(reader.path, reader)
    reader.path.unlink()
    assert kept.get(reader.path, reader) is None
    reader.path.write_text("back")
    assert kept.get(reader.path, reader) == "back"


def test_a_file_that_changes_while_it_is_read_is_read_again(reader: Reader) -> None:
    kept: KeptFiles[str] = KeptFiles()

    def slowly() -> str | None:
        value = reader()
        reader.path.write_text("later")
        return value

    assert kept.get(reader.path, slowly) == "one"
    assert kept.get(reader.path, reader) == "later"


def test_what_cannot_be_read_is_not_kept(reader: Reader) -> None:
    kept: KeptFiles[str] = KeptFiles()

    def failing() -> str:
        raise PermissionError("denied")

    with pytest.raises(PermissionError, match="denied"):
        kept.get(reader.path, failing)
    assert kept.get(reader.path, reader) == "one"


def test_a_directory_is_its_files_also_those_that_may_be_missing(tmp_path: Path) -> None:
    kept: KeptFiles[list[str]] = KeptFiles()

    def read() -> list[str]:
        return sorted(path.name for path in tmp_path.iterdir())

    (tmp_path / "a").touch()
    assert kept.get(tmp_path, read, ("a", "b")) == ["a"]
    (tmp_path / "c").touch()
    assert kept.get(tmp_path, read, ("a", "b")) == ["a"]
    (tmp_path / "b").touch()
    assert kept.get(tmp_path, read, ("a", "b")) == ["a", "b", "c"]


def test_nothing_is_kept_of_what_is_no_longer_wanted(reader: Reader) -> None:
    kept: KeptFiles[str] = KeptFiles()
    kept.get(reader.path, reader)
    kept.keep_only([reader.path])
    kept.get(reader.path, reader)
    assert reader.times == 1
    kept.keep_only([])
    kept.get(reader.path, reader)
    assert reader.times == 2
