"""The state directory as the core uses it: told of changes, and with the schedule."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatecert.errors import DaemonRunningError
from gatecert.store.layout import Layout
from gatecert.store.state_directory import (
    announce_change,
    hold_state_directory,
    read_schedule,
    take_changes,
    write_schedule,
)

if TYPE_CHECKING:
    from pathlib import Path

SCHEDULE = {"hq": (1_800_000_000.5, "a stamp"), "höfn": (0.0, "")}


def made(directory: Path) -> Layout:
    layout = Layout(directory)
    layout.make(layout.state)
    layout.make(layout.changed)
    return layout


# ---------------------------------------------------------------------- changes


def test_a_change_is_taken_once(tmp_path: Path) -> None:
    with hold_state_directory(tmp_path / "state"):
        announce_change(tmp_path / "state", "hq")
        announce_change(tmp_path / "state", "hq")
        announce_change(tmp_path / "state", "büro 2")
        assert sorted(take_changes(tmp_path / "state")) == ["büro 2", "hq"]
        assert take_changes(tmp_path / "state") == []


def test_nobody_is_told_where_no_daemon_runs(tmp_path: Path) -> None:
    announce_change(tmp_path / "nowhere", "hq")
    assert not (tmp_path / "nowhere").exists()
    layout = made(tmp_path / "state")
    announce_change(layout.state, "hq")
    assert take_changes(layout.state) == []


def test_there_are_no_changes_without_a_directory(tmp_path: Path) -> None:
    assert take_changes(tmp_path / "nowhere") == []


@pytest.mark.parametrize("name", [".hidden", "a\nb", "\x7f", "x" * 201, os.fsdecode(b"\xff")])
def test_a_file_that_names_no_gateway_is_removed(tmp_path: Path, name: str) -> None:
    layout = made(tmp_path)
    (layout.changed / name).touch()
    assert take_changes(tmp_path) == []
    assert not list(layout.changed.iterdir())


def test_what_cannot_be_removed_is_no_change(tmp_path: Path) -> None:
    """Else it would be a change at every look."""
    layout = made(tmp_path)
    (layout.changed / "hq").mkdir()
    assert take_changes(tmp_path) == []


def test_a_link_in_the_place_of_a_change_is_not_followed(tmp_path: Path) -> None:
    with hold_state_directory(tmp_path / "state"):
        layout, victim = Layout(tmp_path / "state"), tmp_path / "victim"
        (layout.changed / "hq").symlink_to(victim)
        asked = threading.Event()
        before = signal.signal(signal.SIGUSR1, lambda *_: asked.set())
        try:
            announce_change(layout.state, "hq")
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert asked.is_set()
        assert not victim.exists()
        assert take_changes(layout.state) == ["hq"]


def test_a_daemon_that_cannot_be_told_by_a_file_gets_a_signal(tmp_path: Path) -> None:
    with hold_state_directory(tmp_path / "state"):
        (tmp_path / "state" / "changed").rmdir()
        asked = threading.Event()
        before = signal.signal(signal.SIGUSR1, lambda *_: asked.set())
        try:
            announce_change(tmp_path / "state", "hq")
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert asked.is_set()


def test_a_state_directory_has_one_daemon(tmp_path: Path) -> None:
    with hold_state_directory(tmp_path / "state"), pytest.raises(DaemonRunningError):
        hold_state_directory(tmp_path / "state").__enter__()
    with hold_state_directory(tmp_path / "state"):
        assert (tmp_path / "state" / "changed").is_dir()


# ---------------------------------------------------------------------- the schedule


def test_the_schedule_is_read_as_it_was_written(tmp_path: Path) -> None:
    layout = made(tmp_path)
    write_schedule(tmp_path, SCHEDULE)
    assert read_schedule(tmp_path) == SCHEDULE
    assert stat.S_IMODE(layout.schedule.stat().st_mode) == 0o600
    write_schedule(tmp_path, {})
    assert read_schedule(tmp_path) == {}


def test_a_schedule_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    write_schedule(tmp_path / "nowhere", SCHEDULE)
    assert read_schedule(tmp_path / "nowhere") == {}


def test_a_directory_in_the_place_of_the_schedule_is_no_error(tmp_path: Path) -> None:
    layout = made(tmp_path)
    layout.schedule.mkdir()
    write_schedule(tmp_path, SCHEDULE)
    assert read_schedule(tmp_path) == {}


def damaged(directory: Path, data: bytes) -> dict[str, tuple[float, str]]:
    layout = made(directory)
    layout.schedule.write_bytes(data)
    return read_schedule(directory)


@given(st.binary())
@example(b"")
@example(b"\xff\xfe\x00")
@example(100_000 * b"[")
@example(b"9" * 5000)
def test_garbage_is_an_empty_schedule(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    assert damaged(tmp_path_factory.mktemp("state"), data) == {}


@given(st.data())
def test_a_part_of_a_schedule_is_an_empty_schedule(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("state")
    layout = made(directory)
    write_schedule(directory, SCHEDULE)
    whole = layout.schedule.read_bytes()
    assert damaged(directory, whole[: data.draw(st.integers(0, len(whole) - 1))]) == {}


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {"format": 1},
        {"format": 2, "gateways": {"hq": [1.0, "stamp"]}},
        {"format": 1, "gateways": []},
        {"format": 1, "gateways": "hq"},
    ],
)
def test_another_content_is_an_empty_schedule(tmp_path: Path, content: object) -> None:
    assert damaged(tmp_path, json.dumps(content).encode()) == {}


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def is_well_formed(entry: object) -> bool:
    match entry:
        case [int() | float() as at, str()]:
            return not isinstance(at, bool) and abs(at) <= sys.float_info.max
        case _:
            return False


@given(JSON.filter(lambda entry: not is_well_formed(entry)))
@example([])
@example([1.0])
@example([1.0, "stamp", 1])
@example(["1.0", "stamp"])
@example([True, "stamp"])
@example([float("nan"), "stamp"])
@example([float("inf"), "stamp"])
@example([-float("inf"), "stamp"])
@example([10**400, "stamp"])
@example([1.0, 1])
@example([1.0, None])
def test_a_damaged_entry_is_left_out(
    tmp_path_factory: pytest.TempPathFactory, entry: object
) -> None:
    content = {"format": 1, "gateways": {"damaged": entry, "hq": [1.0, "stamp"]}}
    directory = tmp_path_factory.mktemp("state")
    assert damaged(directory, json.dumps(content).encode()) == {"hq": (1.0, "stamp")}
