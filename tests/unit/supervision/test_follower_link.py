"""The core's side of the follower."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.fakes.worker_process import PlayedLasting, Seconds

from gatecert.supervision.follower_link import FollowerLink
from gatecert.supervision.messages import FleetSeen, Follow, Leave, Left, Look, Message
from gatecert.supervision.worker_log import WorkerLog

PLAN: dict[str, Any] = {"state_directory": "/state"}


@dataclass
class Core:
    """A core with played followers."""

    seconds: Seconds = field(default_factory=Seconds)
    followers: list[PlayedLasting] = field(default_factory=list)
    attached: list[object] = field(default_factory=list)
    looked: list[list[str]] = field(default_factory=list)
    forwarded: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.link = FollowerLink(
            self.start,
            WorkerLog(),
            self.attached.append,
            self.attached.remove,
            self.looked.append,
            self.forwarded.append,
            self.seconds,
        )

    def start(self) -> PlayedLasting:
        self.followers.append(PlayedLasting(len(self.followers) + 1))
        return self.followers[-1]

    def arrive(self, *messages: Message | Exception) -> None:
        self.followers[-1].arriving.extend(messages)
        self.link.serve()


@pytest.fixture
def core() -> Core:
    core = Core()
    core.link.keep(PLAN, listening=True)
    return core


def test_without_a_fleet_there_is_no_follower(core: Core) -> None:
    core.link.keep({}, listening=False)
    assert (core.followers[-1].sent[-1], core.attached) == (Leave(), [])
    core.link.check()
    assert len(core.followers) == 1


def test_the_core_is_told_of_news(core: Core) -> None:
    core.arrive(Look(["hq"]), Look(["boston"]))
    assert core.looked == [["hq"], ["boston"]]


def test_the_monitor_is_told_how_the_fleet_is(core: Core) -> None:
    core.arrive(FleetSeen({"problem": ""}))
    assert (core.forwarded, core.looked) == ([FleetSeen({"problem": ""})], [])


def test_a_follower_that_is_replaced_signs_with_the_same_life(core: Core) -> None:
    core.arrive(EOFError())
    core.seconds.now += core.link.seconds() or 0.0
    core.link.check()
    (first,), (second,) = (each.sent for each in core.followers)
    assert first == second
    assert isinstance(first, Follow)
    assert (first.plan, first.listening) == (PLAN, True)


def test_each_core_has_a_life_of_its_own(core: Core) -> None:
    another = Core()
    another.link.keep(PLAN, listening=True)
    assert core.followers[0].sent != another.followers[0].sent


def test_a_follower_that_says_anything_else_is_replaced(core: Core) -> None:
    core.arrive(Left({}))
    assert core.link.process is None
