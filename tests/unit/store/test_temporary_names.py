from __future__ import annotations

import os
from pathlib import Path

import pytest

from gatecert.store import temporary_names


def dead_pid() -> int:
    """A process id that was ours and is free again."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    return pid


def test_names_are_in_the_same_directory_and_never_the_same() -> None:
    path = Path("/state/key.pem")
    names = [temporary_names.temporary_beside(path), temporary_names.temporary_beside(path)]
    names += [temporary_names.trash_beside(path)]
    assert len(set(names)) == 3
    assert {name.parent for name in names} == {path.parent}
    assert not any(temporary_names.is_leftover(name.name) for name in names)


@pytest.mark.parametrize("kind", ["tmp", "trash"])
def test_of_a_dead_process(kind: str) -> None:
    assert temporary_names.is_leftover(f".{kind}-{dead_pid()}-0123abcd-4")


def test_of_an_earlier_life_with_the_same_process_id() -> None:
    assert temporary_names.is_leftover(f".tmp-{os.getpid()}-00000000-4")


def test_of_a_living_process() -> None:
    assert not temporary_names.is_leftover(f".tmp-{os.getppid()}-0123abcd-4")


def test_of_a_living_process_that_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert not temporary_names.is_leftover(".tmp-1-0123abcd-4")


def test_an_impossible_process_id() -> None:
    assert temporary_names.is_leftover(".tmp-9999999999-0123abcd-4")


@pytest.mark.parametrize("name", ["state.json", ".tmp", ".tmp-x-0123abcd-1", ".tmpfile", "lock"])
def test_other_files_are_nobodys_leftovers(name: str) -> None:
    assert not temporary_names.is_leftover(name)


def test_what_was_given_up_is_a_leftover_until_it_is_gone() -> None:
    path = temporary_names.temporary_beside(Path("/state/key.pem"))
    temporary_names.mark_abandoned(path)
    temporary_names.mark_abandoned(path)
    assert temporary_names.is_leftover(path.name)
    temporary_names.unmark_abandoned(path)
    temporary_names.unmark_abandoned(path)
    assert not temporary_names.is_leftover(path.name)
