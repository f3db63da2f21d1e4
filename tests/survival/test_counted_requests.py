"""The file of counted requests: killed and refused at every step, and changed by many at once.

A request that was counted before a crash counts once after it. The request that the crash kept from
being counted may count; it was not sent.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import TYPE_CHECKING

import pytest
from tests.fakes.acme_server import DIRECTORY_URL
from tests.fakes.clock import NOW
from tests.survival.checks import where
from tests.survival.scene import House, Scene, killed_at

from gatecert.errors import StorageError
from gatecert.model import CountedRequest, Expenses, Limits, RequestKind
from gatecert.store import durable
from gatecert.store.file_store import FileStore
from gatecert.store.rate_limit_usage import FEWEST_NEEDLESS
from gatecert.store.state_directory import hold_state_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEVER = 1 << 30
ORDER = CountedRequest(RequestKind.ORDER, NOW, account="account/1")
VALIDATION = CountedRequest(RequestKind.VALIDATION, NOW, "order/1 a", "account/1", ("a",))
WANTED = replace(VALIDATION, id="order/wanted a")
KNOWN = (ORDER, ORDER, VALIDATION)  # what must never be forgotten
NEEDLESS = FEWEST_NEEDLESS + 20
KINDS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS)
PROCESSES, TIMES = 4, 200


def count(store: FileStore, *counted: CountedRequest, validated: str = "") -> None:
    expenses = Expenses(NOW, counted, validated=validated)
    assert store.count_requests(DIRECTORY_URL, expenses, Limits()) is None


def spend(house: House) -> None:
    count(house.store, WANTED)


def known(store: FileStore) -> tuple[CountedRequest, ...]:
    """Return what is counted, without what `_mostly_needless` has counted for nothing."""
    counted = store.counted_requests(DIRECTORY_URL)
    return tuple(each for each in counted if each.kind is not RequestKind.ACCOUNT)


def spending(scene: Scene, pattern: str) -> list[Path]:
    return sorted((scene.state / "spending").glob(pattern))


# --------------------------------------------------------------------- the beginnings


def _nothing(_: Scene) -> None:
    """The first request creates the file."""


def _some(scene: Scene) -> None:
    count(FileStore(scene.state), *KNOWN)


def _torn(scene: Scene) -> None:
    _some(scene)
    (path,) = spending(scene, "*.jsonl")
    path.write_bytes(path.read_bytes() + b'{"schema": 1, "counted": [{"kind": "ord')


def _mostly_needless(scene: Scene) -> None:
    _some(scene)
    (path,) = spending(scene, "*.jsonl")
    account = replace(ORDER, kind=RequestKind.ACCOUNT, id="again and again")
    count(FileStore(scene.state), account)
    line = path.read_bytes().splitlines(keepends=True)[-1]
    path.write_bytes(path.read_bytes() + NEEDLESS * line)


def _earlier(scene: Scene) -> None:
    """The file of an earlier gatecert, and no other."""
    _some(scene)
    (path,) = spending(scene, "*.jsonl")
    counted = json.loads(path.read_bytes())["counted"]
    path.with_suffix(".json").write_text(json.dumps({"schema": 1, "expenses": counted}))
    path.with_suffix(".json").chmod(0o600)
    path.unlink()


@dataclass(frozen=True)
class Beginning:
    """A state of the disk in which a request is counted."""

    arrange: Callable[[Scene], None]
    known: tuple[CountedRequest, ...] = KNOWN

    def __str__(self) -> str:
        return self.arrange.__name__.strip("_").replace("_", " ")


BEGINNINGS = (
    Beginning(_nothing, ()),
    Beginning(_some),
    Beginning(_torn),
    Beginning(_mostly_needless),
    Beginning(_earlier),
)


@pytest.mark.parametrize("beginning", BEGINNINGS, ids=str)
def test_killed_at_any_step(
    beginning: Beginning, scene: Scene, directory: Path, tally: list[str]
) -> None:
    beginning.arrange(scene)
    restore = scene.save(directory / "beginning")
    points = killed_at(NEVER, scene, spend)
    assert points
    _check_end(beginning, scene)
    _check_size(scene)
    faults = []
    for number in range(len(points)):
        restore()
        try:
            assert killed_at(number, scene, spend) is None
            _check(beginning, scene, FileStore(scene.state))
            _check_size(scene)
        except AssertionError as error:
            faults.append(f"killed before step {number}, {points[number]}: {where(error)}")
    survived = len(points) - len(faults)
    tally.append(f"killed while counting, {beginning}: {survived} of {len(points)} points")
    assert not faults, "\n".join(faults[:20])


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from there on"])
@pytest.mark.parametrize("beginning", BEGINNINGS, ids=str)
def test_refused_at_any_step(
    beginning: Beginning, scene: Scene, directory: Path, tally: list[str], *, lasting: bool
) -> None:
    beginning.arrange(scene)
    restore = scene.save(directory / "beginning")
    reached: list[str] = []
    durable.on_step = lambda name, _: reached.append(name)
    spend(scene.house())
    faults = []
    for number in range(len(reached)):
        for kind in KINDS:
            restore()
            house, turn = scene.house(), iter(range(NEVER))

            def refuse(
                _name: str,
                path: Path,
                number: int = number,
                kind: int = kind,
                turn: Iterator[int] = turn,
            ) -> None:
                now = next(turn)
                if now == number or (lasting and now > number):
                    raise OSError(kind, os.strerror(kind), str(path))

            durable.on_step = refuse
            try:
                spend(house)
                told = True
            except StorageError:
                told = False
            durable.on_step = lambda *_: None
            try:
                found = known(house.store)
                assert WANTED in found or not told
                _check(beginning, scene, house.store)
            except AssertionError as error:
                faults.append(f"{errno.errorcode[kind]} at {reached[number]}: {where(error)}")
    assert len(reached) > 5
    cases = len(reached) * len(KINDS)
    ending = "from there on" if lasting else "once"
    line = f"refused {ending} while counting, {beginning}: {cases - len(faults)} of {cases}"
    tally.append(f"{line} (there are {len(reached)} steps, {len(KINDS)} kinds)")
    assert not faults, "\n".join(faults[:20])


def _check(beginning: Beginning, scene: Scene, store: FileStore) -> None:
    """Check that everything counts once, and that the next process goes on."""
    assert known(store) in {beginning.known, (*beginning.known, WANTED)}
    assert known(FileStore(scene.state)) == known(store)
    count(store, WANTED)
    assert known(store) == (*beginning.known, WANTED)
    with hold_state_directory(store.directory):
        _check_end(beginning, scene)


def _check_end(beginning: Beginning, scene: Scene) -> None:
    assert known(FileStore(scene.state)) == (*beginning.known, WANTED)
    (path,) = spending(scene, "*.json*")
    assert path.suffix == ".jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().endswith(b"\n")
    assert not spending(scene, ".tmp*")


def _check_size(scene: Scene) -> None:
    (path,) = spending(scene, "*.jsonl")
    assert len(path.read_bytes().splitlines()) < 10


def test_a_line_torn_at_any_byte_is_not_counted(scene: Scene) -> None:
    _some(scene)
    (path,) = spending(scene, "*.jsonl")
    before = path.read_bytes()
    count(FileStore(scene.state), WANTED)
    after = path.read_bytes()
    store = FileStore(scene.state)
    for size in range(len(before), len(after)):
        path.write_bytes(after[:size])
        assert known(FileStore(scene.state)) == known(store) == KNOWN
        count(store, WANTED)
        assert path.read_bytes() == after


# --------------------------------------------------------------------- many at once


def _count_and_withdraw(state: Path, process: int) -> None:
    store = FileStore(state)
    for number in range(TIMES):
        order = f"order/{process}/{number}"
        count(store, replace(VALIDATION, id=f"{order} a"))
        count(store, validated=order)
    count(store, replace(ORDER, account=str(process)))


def test_many_processes_count_while_the_file_is_rewritten(scene: Scene) -> None:
    store = FileStore(scene.state)
    count(store, *KNOWN)
    context = get_context("spawn")
    processes = [
        context.Process(target=_count_and_withdraw, args=(scene.state, number))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        while process.is_alive():
            assert set(known(store)) >= set(KNOWN)  # a reader holds no lock
            process.join(0.01)
        assert process.exitcode == 0
    accounts = sorted(each.account for each in known(store)[len(KNOWN) :])
    assert accounts == [str(number) for number in range(PROCESSES)]
    assert known(FileStore(scene.state)) == known(store)
    (path,) = spending(scene, "*.jsonl")
    written = 2 * PROCESSES * TIMES  # how few are left depends on who has rewritten the file
    assert len(path.read_bytes().splitlines()) < written * 3 / 4
