from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatecert.errors import StorageError
from gatecert.model import EnrolmentState, GatewayState
from gatecert.store import damaged_files, json_record

if TYPE_CHECKING:
    from pathlib import Path

Fail = Callable[[str, int], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.damaged-*"))


def test_missing_is_none(path: Path) -> None:
    assert json_record.read_record(path, GatewayState) is None
    assert aside(path) == []


def test_a_record_is_read_as_it_was_written(path: Path) -> None:
    json_record.write_record(path, GatewayState(EnrolmentState(failures=2)))
    assert json_record.read_record(path, GatewayState) == GatewayState(EnrolmentState(failures=2))


def test_a_damaged_file_is_set_aside_and_logged(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(b"\xff\xfegarbage")
    assert json_record.read_record(path, GatewayState) is None
    (kept,) = aside(path)
    assert kept.read_bytes() == b"\xff\xfegarbage"
    assert not path.exists()
    assert str(path) in caplog.text
    assert kept.name in caplog.text
    assert {entry.levelname for entry in caplog.records} == {"WARNING"}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=40))
def test_garbage_never_raises(path: Path, garbage: bytes) -> None:
    path.write_bytes(garbage)
    assert json_record.read_record(path, GatewayState) is None
    assert len(aside(path)) <= damaged_files.DAMAGED_KEPT


def test_only_the_latest_damaged_files_are_kept(path: Path) -> None:
    (path.parent / "state.json.damaged-20200101T000000.000000Z").mkdir()
    (path.parent / "state.json.damaged-20200102T000000.000000Z").touch()
    for number in range(damaged_files.DAMAGED_KEPT):
        path.write_text(str(number))
        assert json_record.read_record(path, GatewayState) is None
    assert [kept.read_text() for kept in aside(path)] == ["0", "1", "2"]


def test_old_damaged_files_that_cannot_be_removed_are_no_error(
    path: Path, fail: Fail, caplog: pytest.LogCaptureFixture
) -> None:
    for day in range(1, 5):
        (path.parent / f"state.json.damaged-2020010{day}T000000.000000Z").touch()
    path.write_bytes(b"")
    fail("remove", errno.EIO)
    assert json_record.read_record(path, GatewayState) is None
    assert "stays behind" in caplog.text


def test_a_directory_of_that_name_is_set_aside(path: Path) -> None:
    path.mkdir()
    assert json_record.read_record(path, GatewayState) is None
    json_record.write_record(path, GatewayState(EnrolmentState(failures=1)))
    assert json_record.read_record(path, GatewayState) == GatewayState(EnrolmentState(failures=1))


def test_writing_over_a_directory(path: Path) -> None:
    path.mkdir()
    json_record.write_record(path, GatewayState(EnrolmentState(failures=1)))
    assert json_record.read_record(path, GatewayState) == GatewayState(EnrolmentState(failures=1))
    assert len(aside(path)) == 1


def test_a_named_pipe_does_not_block(path: Path) -> None:
    os.mkfifo(path)
    assert json_record.read_record(path, GatewayState) is None


def test_a_link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)
    assert json_record.read_record(path, GatewayState) is None
    assert len(aside(path)) == 1


def test_an_oversized_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(damaged_files.LARGEST + 1)
    assert json_record.read_record(path, GatewayState) is None
    assert len(aside(path)) == 1


def test_a_damaged_file_that_cannot_be_set_aside(
    path: Path, fail: Fail, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(b"garbage")
    fail("set aside", errno.EROFS)
    assert json_record.read_record(path, GatewayState) is None
    assert "set_aside=no" in caplog.text
    assert path.read_bytes() == b"garbage"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_an_unreadable_file_is_not_damaged(path: Path, fail: Fail, number: int) -> None:
    json_record.write_record(path, GatewayState(EnrolmentState(failures=2)))
    fail("read", number)
    with pytest.raises(StorageError, match=f"cannot read {path}"):
        json_record.read_record(path, GatewayState)
    assert aside(path) == []


def test_other_errors_of_open_are_reported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StorageError, match="too many open files"):
        damaged_files.read_file(path)
