"""Killed with SIGKILL just before every step that touches the disk or the authority.

Steps that only read are left out: what is on the disk is the same as at the next step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.survival.checks import check_disk, check_tidy, come_right, served, where
from tests.survival.operations import OPERATIONS, ROLL_BACK, Operation, allow
from tests.survival.scene import Scene, killed_at

from gatecert.store.state_directory import hold_state_directory

if TYPE_CHECKING:
    from pathlib import Path

    from tests.survival.conftest import Pace

READING = {"read", "look at"}
NEVER = 1 << 30
STRIDE = 5  # of the points, when there is little time


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_killed_at_any_step(
    operation: Operation, scene: Scene, directory: Path, tally: list[str], pace: Pace
) -> None:
    operation.arrange(scene)
    restore = scene.save(directory / "beginning")
    before = served(scene) if scene.gateway.exists() else None
    placed, issued = scene.authority.placed, len(scene.authority.issued)
    scene.goal = issued + operation.orders
    points = killed_at(NEVER, scene, lambda house: operation.carry_out(scene, house))
    assert points
    numbers = [number for number, (name, _) in enumerate(points) if name not in READING]
    chosen = pace.some(numbers, STRIDE)
    faults = []
    for number in chosen:
        restore()
        try:
            assert killed_at(number, scene, lambda house: operation.carry_out(scene, house)) is None
            _survives(operation, scene, before)
            assert scene.authority.placed - placed <= operation.orders
            assert len(scene.authority.issued) == scene.goal
        except AssertionError as error:
            faults.append(f"killed before step {number}, {points[number]}: {where(error)}")
    line = f"killed in {operation}: {len(chosen) - len(faults)} of {len(chosen)} points"
    tally.append(f"{line} (there are {len(numbers)})")
    assert not faults, "\n".join(faults[:20])


def _survives(operation: Operation, scene: Scene, before: str | None) -> None:
    if scene.gateway.exists():
        now = served(scene)
        assert now is not None or before is None
        if now not in {None, before}:
            assert now == max(path.name for path in (scene.gateway / "versions").glob("[0-9]*"))
        check_disk(scene)
    house = scene.house()
    with hold_state_directory(house.store.directory):
        requests = len(scene.authority.requests)
        house.pipeline.prepare(scene.target)
        assert len(scene.authority.requests) == requests
        assert served(scene) is not None
        if operation is ROLL_BACK:
            _rolls_back(scene, before)
            allow(scene)
        come_right(scene, scene.house(), operation)
        check_disk(scene)
        check_tidy(scene, house)


def _rolls_back(scene: Scene, before: str | None) -> None:
    """After one whole pass, what the gateway does take is served again."""
    house = scene.house()
    for _ in range(2):
        outcome = house.pipeline.attend(scene.target)
        assert outcome.wake_at is not None
        scene.clock.time = max(scene.clock.time, outcome.wake_at)
    assert served(scene) == before
