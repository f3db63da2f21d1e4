"""Killed with SIGKILL and started again every five seconds for an hour: never over any limit.

Each life has a process of its own and ends at a step drawn by lot, or in peace if it comes to its
end before. What else could hold gatecert back from trying again (the pauses after failures) is
thrown away at every start, so that the limits alone are proven; the authority does the counting.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tests.survival.scene import HOSTNAME, VPN, Scene, killed_at

from gatecert.lifecycle.gateway_pass import Occasion
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.survival.scene import House

HOUR, LIFE = timedelta(hours=1), timedelta(seconds=5)
STEPS = 800  # more than an enrolment has, so that some lives come to their end


@dataclass
class Time:
    """Time that goes by in lives of five seconds.

    Attributes:
        seen: What reached the authority, and when.
        killed: How many lives did not end in peace.
    """

    scene: Scene
    chance: random.Random
    seen: list[tuple[str, datetime]] = field(default_factory=list)
    killed: int = 0

    def live(self, time: timedelta, work: Callable[[House], object]) -> None:
        """Live, die, and be forgotten but for what is on the disk, again and again."""
        for _ in range(time // LIFE):
            known = len(self.scene.authority.requests)
            if killed_at(self.chance.randrange(STEPS), self.scene, work) is None:
                self.killed += 1
            now = self.scene.clock.time
            requests = self.scene.authority.requests[known:]
            self.seen += [(request.path.split("/")[1], now) for request in requests]
            self._forget_pauses()
            self.scene.clock.time += LIFE

    def count(self, kind: str) -> int:
        """Count the requests of a kind."""
        return sum(each == kind for each, _ in self.seen)

    def _forget_pauses(self) -> None:
        store = FileStore(self.scene.state)
        state = store.state(VPN)
        cleared = replace(
            state.enrolment, failures=0, failed_at=None, next_attempt=None, troubles=()
        )
        if cleared != state.enrolment:
            store.save_state(VPN, replace(state, enrolment=cleared))


def test_never_more_failed_validations_than_allowed(scene: Scene, tally: list[str]) -> None:
    scene.authority.refused[HOSTNAME] = {"detail": "nobody there"}
    time = Time(scene, random.Random(5))
    time.live(HOUR, lambda house: house.pipeline.attend(scene.target))
    failed = time.count("challenge")
    tally.append(f"killed {time.killed} times in an hour: {failed} failed validations of 5 allowed")
    assert time.killed > 10
    assert 2 <= failed <= 5
    assert len(scene.authority.accounts) == 1
    assert time.count("new-order") <= 300


def test_never_more_certificates_than_allowed(scene: Scene, tally: list[str]) -> None:
    time = Time(scene, random.Random(6))
    # What says which certificate it replaces is exempt, so it is not said here.
    scene.authority.renewal_info = False
    time.live(HOUR / 4, lambda house: house.pipeline.attend(scene.target, Occasion(force=True)))
    issued, placed = len(scene.authority.issued), scene.authority.placed
    tally.append(
        f"killed {time.killed} times in 15 minutes: {issued} certificates of 5 allowed, "
        f"{placed} orders of 300"
    )
    assert time.killed > 10
    assert 2 <= issued <= 5
    assert placed <= 300
    assert len(scene.authority.accounts) == 1
