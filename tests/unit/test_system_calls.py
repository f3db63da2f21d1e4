"""Timers of the wall clock and watches of directories, as the kernel offers them."""

from __future__ import annotations

import errno
import os
import select
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatecert.system_calls import IN_CREATE, IN_DELETE, IN_MOVED_TO, DirectoryWatch, WallClockTimer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENOUGH = 30.0  # seconds for what happens at once
FUTURE = 4_000_000_000.0  # seconds since the epoch


def is_readable(source: WallClockTimer | DirectoryWatch, seconds: float = 0.0) -> bool:
    return bool(select.select([source], [], [], seconds)[0])


def open_descriptors() -> list[str]:
    return os.listdir("/proc/self/fd")  # noqa: PTH208 - names only


# ---------------------------------------------------------------------- timers


@pytest.fixture
def timer() -> Iterator[WallClockTimer]:
    with closing(WallClockTimer()) as timer:
        yield timer


def test_a_new_timer_does_not_fire(timer: WallClockTimer) -> None:
    assert not is_readable(timer)
    assert not timer.clock_was_set()


@pytest.mark.parametrize("instant", [-1.0, 0.0, 1e-12, 1.0, 1_700_000_000.25])
def test_a_timer_for_the_past_fires_at_once(timer: WallClockTimer, instant: float) -> None:
    timer.set(instant)
    assert is_readable(timer, ENOUGH)
    assert not timer.clock_was_set()
    assert not is_readable(timer)


def test_a_timer_fires_at_its_instant_and_not_before(timer: WallClockTimer) -> None:
    at = time.time() + 0.05
    timer.set(at)
    assert is_readable(timer, ENOUGH)
    assert time.time() >= at


def test_a_timer_for_the_future_waits(timer: WallClockTimer) -> None:
    timer.set(FUTURE)
    assert not is_readable(timer)
    assert not timer.clock_was_set()


def test_a_later_setting_counts(timer: WallClockTimer) -> None:
    timer.set(1.0)
    timer.set(FUTURE)
    assert not is_readable(timer)
    timer.set(1.0)
    assert is_readable(timer, ENOUGH)


def test_a_timer_that_has_fired_can_be_set_again(timer: WallClockTimer) -> None:
    for _ in range(3):
        timer.set(1.0)
        assert is_readable(timer, ENOUGH)
        timer.clock_was_set()


def test_a_timer_is_not_inherited_and_is_released() -> None:
    before = open_descriptors()
    timer = WallClockTimer()
    assert not os.get_inheritable(timer.fileno())
    timer.close()
    assert open_descriptors() == before


# ---------------------------------------------------------------------- directories


@pytest.fixture
def watch() -> Iterator[DirectoryWatch]:
    with closing(DirectoryWatch()) as watch:
        yield watch


def test_a_watch_tells_of_a_new_file_once(watch: DirectoryWatch, tmp_path: Path) -> None:
    number = watch.add(tmp_path, IN_CREATE)
    assert not is_readable(watch)
    (tmp_path / "hq").touch()
    assert is_readable(watch, ENOUGH)
    assert watch.events() == [(number, "hq")]
    assert not is_readable(watch)
    assert watch.events() == []


def test_a_watch_tells_of_files_that_are_moved_and_removed(
    watch: DirectoryWatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    number = watch.add(tmp_path, IN_MOVED_TO | IN_DELETE)
    other = tmp_path_factory.mktemp("other") / "hq"
    other.touch()
    other.rename(tmp_path / "hq")
    (tmp_path / "hq").unlink()
    assert watch.events() == [(number, "hq"), (number, "hq")]


def test_a_watch_tells_nothing_that_was_not_asked_for(
    watch: DirectoryWatch, tmp_path: Path
) -> None:
    (tmp_path / "hq").touch()
    watch.add(tmp_path, IN_CREATE)
    (tmp_path / "hq").unlink()
    assert not is_readable(watch)


def test_directories_are_told_apart(watch: DirectoryWatch, tmp_path: Path) -> None:
    numbers = {}
    for name in ("a", os.fsdecode(b"\xff")):
        (tmp_path / name).mkdir()
        numbers[name] = watch.add(tmp_path / name, IN_CREATE)
        (tmp_path / name / f"in {name}").touch()
    assert watch.events() == [(number, f"in {name}") for name, number in numbers.items()]


def test_any_number_of_events_is_read_at_once(watch: DirectoryWatch, tmp_path: Path) -> None:
    watch.add(tmp_path, IN_CREATE)
    names = [f"a long name of a gateway {number}" for number in range(1200)]
    for name in names:
        (tmp_path / name).touch()
    assert [name for _, name in watch.events()] == names
    assert not is_readable(watch)


def test_a_directory_that_is_removed_ends_its_watch(watch: DirectoryWatch, tmp_path: Path) -> None:
    directory = tmp_path / "gone"
    directory.mkdir()
    number = watch.add(directory, IN_CREATE)
    directory.rmdir()
    assert watch.events() == [(number, "")]
    watch.remove(number)


def test_a_watch_that_has_ended_tells_nothing(watch: DirectoryWatch, tmp_path: Path) -> None:
    watch.remove(watch.add(tmp_path, IN_CREATE))
    watch.events()
    (tmp_path / "hq").touch()
    assert watch.events() == []


def test_only_a_directory_can_be_watched(watch: DirectoryWatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError):
        watch.add(tmp_path / "missing", IN_CREATE)
    with pytest.raises(NotADirectoryError):
        watch.add(tmp_path / "file", IN_CREATE)


TOO_MANY = """
import resource, sys
from pathlib import Path
from gatecert.system_calls import DirectoryWatch, WallClockTimer

for kind, arguments in ((WallClockTimer, ()), (DirectoryWatch, ())):
    kind(*arguments).close()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, most))
    try:
        kind(*arguments)
    except OSError as error:
        print(error.errno, error.filename)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
"""


def test_a_limit_is_an_error_that_names_the_call() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", TOO_MANY], capture_output=True, text=True, check=True
    )
    assert shown.stdout.splitlines() == [
        f"{errno.EMFILE} timerfd_create",
        f"{errno.EMFILE} inotify_init1",
    ]


PRIVATE = """
import ctypes, resource, subprocess, sys
from gatecert.system_calls import keep_memory_private

PR_GET_DUMPABLE = 3

def show():
    print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE), resource.getrlimit(resource.RLIMIT_CORE)[0])

if sys.argv[1:]:
    show()
else:
    keep_memory_private()
    show()
    sys.stdout.flush()
    subprocess.run([sys.executable, "-c", sys.orig_argv[2], "child"])
"""


def test_a_private_process_leaves_no_core_file_and_its_children_are_as_usual() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", PRIVATE], capture_output=True, text=True, check=True
    )
    assert shown.stdout.splitlines() == ["0 0", "1 0"]


ENTRY = """
PR_GET_DUMPABLE = 3
import ctypes
import gatecert.cli

gatecert.cli.run = lambda: print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE))
from gatecert.__main__ import main
main()
"""


def test_every_command_is_private_before_it_reads_anything() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", ENTRY], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "0\n"
