"""Sums over a tree of processes, from a procfs of files."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from bench.process_tree import ProcessTree, SwitchCounter

if TYPE_CHECKING:
    from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def process(
    proc: Path,
    pid: int,
    *,
    parent: int = 1,
    ticks: tuple[int, int, int, int] = (0, 0, 0, 0),
    kilobytes: tuple[int, int] = (0, 0),
    switches: tuple[int, ...] = (0,),
) -> None:
    """Write a process with a thread for each number of voluntary context switches."""
    directory = proc / str(pid)
    used = " ".join(map(str, ticks))
    for number, count in enumerate(switches):
        task = directory / "task" / str(pid + number)
        task.mkdir(parents=True, exist_ok=True)
        (task / "status").write_text(
            f"Name:\tgatecert\nvoluntary_ctxt_switches:\t{count}\nnonvoluntary_ctxt_switches:\t1\n"
        )
    fields = f"S {parent} 1 1 0 -1 0 0 0 0 0 {used} 20 0 1 0 0"
    (directory / "stat").write_text(f"{pid} (a) b) {fields}\n")
    rss, pss = kilobytes
    (directory / "smaps_rollup").write_text(
        f"0-1 ---p 0 00:00 0 [rollup]\nRss: {rss} kB\nPss: {pss} kB\nPss_Anon: 9 kB\n"
    )


def test_everything_counts_with_all_descendants(tmp_path: Path) -> None:
    process(tmp_path, 10, ticks=(1, 2, 3, 4), kilobytes=(1000, 500))
    process(tmp_path, 20, parent=10, ticks=(10, 0, 0, 0), kilobytes=(2000, 600))
    process(tmp_path, 30, parent=10, ticks=(0, 20, 0, 0))
    process(tmp_path, 40, parent=20, ticks=(0, 0, 0, 30), kilobytes=(4000, 700))
    process(tmp_path, 50, ticks=(99, 99, 99, 99), kilobytes=(9000, 9000))
    tree = ProcessTree(10, tmp_path)
    assert sorted(tree.pids()) == [10, 20, 30, 40]
    assert tree.processor_seconds() == pytest.approx(70 / TICKS)
    memory = tree.memory()
    assert memory.rss == pytest.approx(7000 * 1024 / 1e6)
    assert memory.pss == pytest.approx(1800 * 1024 / 1e6)
    assert memory.root_rss == pytest.approx(1000 * 1024 / 1e6)


def test_a_process_that_has_just_ended_counts_nothing(tmp_path: Path) -> None:
    process(tmp_path, 10, ticks=(1, 0, 0, 0))
    process(tmp_path, 20, parent=10)
    (tmp_path / "20" / "stat").unlink()
    tree = ProcessTree(10, tmp_path)
    assert tree.pids() == [10]
    assert tree.processor_seconds() == pytest.approx(1 / TICKS)
    assert ProcessTree(11, tmp_path).pids() == []


def test_switches_count_from_the_start_also_of_threads_that_come_and_go(tmp_path: Path) -> None:
    process(tmp_path, 10, switches=(100, 50))
    counter = SwitchCounter(ProcessTree(10, tmp_path))
    assert counter.count == 0
    process(tmp_path, 10, switches=(103, 50))
    process(tmp_path, 20, parent=10, switches=(7,))
    counter.sample()
    assert counter.count == 3 + (7 + 1)
    process(tmp_path, 10, switches=(105, 50))
    shutil.rmtree(tmp_path / "20")
    counter.sample()
    assert counter.count == 5 + (7 + 1)
