"""The system refuses each step, once or for a while: full, read-only, not permitted, failing.

Reading is refused as well. What is refused while gatecert goes on is another thing than a crash:
the same process has to come right again, with what it remembers.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.survival.checks import check_disk, check_tidy, come_right, served, where
from tests.survival.operations import OPERATIONS, ROLL_BACK, Operation, allow

from gatecert.errors import GatecertError, StateError
from gatecert.model import Outcome
from gatecert.store import durable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.survival.conftest import Pace
    from tests.survival.scene import House, Scene

KINDS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS)
STRIDE = 23  # of the points, when there is little time; prime, so that all kinds come along


@dataclass
class Refusal:
    """Refuses one step, or every one from there on, until it is lifted.

    Attributes:
        number: Of the first step that is refused; steps are counted from 0.
        kind: What the system answers.
        lasting: Whether every later step is refused too.
    """

    number: int
    kind: int
    lasting: bool
    reached: int = 0
    lifted: bool = False

    def __call__(self, _name: str, path: Path) -> None:
        number, self.reached = self.reached, self.reached + 1
        if self.lifted or number < self.number or (number > self.number and not self.lasting):
            return
        raise OSError(self.kind, os.strerror(self.kind), str(path))


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_refused_once_at_any_step(
    operation: Operation, scene: Scene, directory: Path, tally: list[str], pace: Pace
) -> None:
    _refuse_each(operation, scene, directory, tally, pace, lasting=False)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_refused_from_any_step_on(
    operation: Operation, scene: Scene, directory: Path, tally: list[str], pace: Pace
) -> None:
    _refuse_each(operation, scene, directory, tally, pace, lasting=True)


def _refuse_each(
    operation: Operation,
    scene: Scene,
    directory: Path,
    tally: list[str],
    pace: Pace,
    *,
    lasting: bool,
) -> None:
    operation.arrange(scene)
    restore = scene.save(directory / "beginning")
    before = served(scene) if scene.gateway.exists() else None
    placed, issued = scene.authority.placed, len(scene.authority.issued)
    scene.goal = issued + operation.orders
    count = Refusal(1 << 30, errno.EIO, lasting=False)
    durable.on_step = count
    operation.carry_out(scene, scene.house())
    cases = [
        (number, kind)
        for number in range(count.reached)
        for turn, kind in enumerate(KINDS, start=number + lasting)
        if pace.thorough or not turn % len(KINDS) or not pace.every_point
    ]
    chosen = pace.some(cases, STRIDE)
    faults = []
    for number, kind in chosen:
        restore()
        refusal = Refusal(number, kind, lasting)
        durable.on_step = refusal
        try:
            _survives(operation, scene, before, refusal)
            assert scene.authority.placed - placed <= operation.orders
            assert len(scene.authority.issued) == scene.goal
        except (AssertionError, GatecertError, OSError) as error:
            faults.append(f"{errno.errorcode[kind]} at step {number}: {where(error)}")
    ending = "from there on" if lasting else "once"
    line = f"refused {ending} in {operation}: {len(chosen) - len(faults)} of {len(chosen)}"
    tally.append(f"{line} (there are {count.reached} steps, {len(KINDS)} kinds)")
    assert not faults, "\n".join(faults[:20])


def _survives(operation: Operation, scene: Scene, before: str | None, refusal: Refusal) -> None:
    house = scene.house()
    try:
        outcome = operation.carry_out(scene, house)
    except StateError as error:  # that of a command, which says so and ends
        said = str(error)
    else:
        said = outcome.detail if isinstance(outcome, Outcome) else ""
        assert "unexpected error" not in said
    assert "\n" not in said
    refusal.lifted = True
    now = served(scene) if scene.gateway.exists() else None
    assert now is not None or before is None
    if scene.gateway.exists():
        check_disk(scene)
    _recovers(operation, scene, house)


def _recovers(operation: Operation, scene: Scene, house: House) -> None:
    house.pipeline.prepare(scene.target)
    assert served(scene) is not None
    if operation is ROLL_BACK:
        allow(scene)
    come_right(scene, house, operation)
    check_disk(scene)
    check_tidy(scene, house)
