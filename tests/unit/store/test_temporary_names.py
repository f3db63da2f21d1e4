from __future__ import annotations

import os
from pathlib import Path

import pytest

from gatecert.store import temporary_names


def dead_pid() -> int:
    """Return the process id of an ended process."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    return pid


def test_names_are_unique_in_the_same_directory() -> None:
    path = Path("/state/key.pem")
    names = [temporary_names.temporary_beside(path), temporary_names.temporary_beside(path)]
    names += [temporary_names.trash_beside(path)]
    assert len(set(names)) == 3
    assert {name.parent for name in names} == {path.parent}
    assert not any(temporary_names.is_leftover(name.name) for name in names)


@pytest.mark.parametrize("kind", ["tmp", "trash"])
def test_a_name_of_a_dead_process_is_a_leftover(kind: str) -> None:
    assert temporary_names.is_leftover(f".{kind}-{dead_pid()}-0123abcd-4")


def test_a_name_of_a_process_that_nobody_waits_for_is_a_leftover() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # ended, and still in the process table
    try:
        assert temporary_names.is_leftover(f".tmp-{pid}-0123abcd-4")
    finally:
        os.waitpid(pid, 0)


def test_a_name_of_an_earlier_run_with_the_same_process_id_is_a_leftover() -> None:
    assert temporary_names.is_leftover(f".tmp-{os.getpid()}-00000000-4")


def test_a_name_of_a_running_process_is_no_leftover() -> None:
    assert not temporary_names.is_leftover(f".tmp-{os.getppid()}-0123abcd-4")


def test_a_name_of_a_running_process_of_another_user_is_no_leftover(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert not temporary_names.is_leftover(".tmp-1-0123abcd-4")


def test_an_impossible_process_id() -> None:
    assert temporary_names.is_leftover(".tmp-9999999999-0123abcd-4")


@pytest.mark.parametrize("name", ["state.json", ".tmp", ".tmp-x-0123abcd-1", ".tmpfile", "lock"])
def test_other_files_are_no_leftovers(name: str) -> None:
    assert not temporary_names.is_leftover(name)


def test_an_abandoned_file_is_a_leftover_until_it_is_removed() -> None:
    path = temporary_names.temporary_beside(Path("/state/key.pem"))
    temporary_names.mark_abandoned(path)
    temporary_names.mark_abandoned(path)
    assert temporary_names.is_leftover(path.name)
    temporary_names.unmark_abandoned(path)
    temporary_names.unmark_abandoned(path)
    assert not temporary_names.is_leftover(path.name)
