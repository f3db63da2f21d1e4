"""Whatever happens, and wherever the monitor ends: told once, recovered once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.clock import DAY, MINUTE, START, Clock
from tests.fakes.gateway_statuses import error, gateway
from tests.fakes.notified import CrashError, Fate, Notified

from gatecert.model import ReceiverPlan, Severity
from gatecert.model.monitoring import ReceiverKind
from gatecert.monitoring.notifications import Notifications
from gatecert.report.gateway_status import Condition, GatewayStatus

NAMES = ("boston", "kiel", "lyon")
WELL, UNSERVED, FAILING = "well", "unserved", "failing"
PLAN = ReceiverPlan("ops", ReceiverKind.COMMAND, command=("true",), group=2 * MINUTE)
NIGHT = ReceiverPlan(
    "ops", ReceiverKind.COMMAND, command=("true",), group=MINUTE, quiet_from=1320, quiet_until=420
)


def status(name: str, what: str) -> GatewayStatus:
    well = gateway(name, not_before=START, not_after=START + 1000 * DAY)
    if what == UNSERVED:
        return replace(well, state=Condition.SILENT, served=False, served_detail="no answer")
    if what == FAILING:
        return replace(well, failures=3, last_error=error("acme", "refused"))
    return well


@dataclass
class World:
    directory: Path
    plan: ReceiverPlan
    clock: Clock = field(default_factory=Clock)
    notified: Notified = field(default_factory=Notified)
    states: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start a monitor, which is told of every gateway again."""
        self.monitor = Notifications(
            [self.plan], self.directory, self.clock, deliver=self.notified, host="vpn1"
        )
        for name, what in self.states.items():
            self.monitor.seen(status(name, what))

    def becomes(self, name: str, what: str) -> None:
        self.states[name] = what
        self.monitor.seen(status(name, what))

    def passes(self, minutes: int) -> None:
        """Let time pass, and do what becomes due on the way."""
        end = self.clock.time + minutes * MINUTE
        for _ in range(1000):
            due = self.monitor.next_at()
            if due is None or due > end:
                self.clock.time = end
                return
            self.clock.time = max(self.clock.time, due)
            try:
                asyncio.run(self.monitor.run_due())
            except CrashError:
                self.start()
        pytest.fail("it never has nothing to do")


STEPS = st.one_of(
    st.tuples(st.sampled_from(NAMES), st.sampled_from((WELL, UNSERVED, FAILING))),
    st.sampled_from((1, 3, 30, 600, 3000)),
    st.lists(st.sampled_from(Fate), min_size=1, max_size=4),
    st.just("restart"),
)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, max_size=25), plan=st.sampled_from((PLAN, NIGHT)))
def test_what_is_told_is_told_once_and_recovers_once(steps: list[Any], plan: ReceiverPlan) -> None:
    with TemporaryDirectory() as directory:
        world = World(Path(directory), plan)
        for step in steps:
            match step:
                case (str(name), str(what)):
                    world.becomes(name, what)
                case int(minutes):
                    world.passes(minutes)
                case list(fates):
                    world.notified.fates = [*fates]
                case _:
                    world.start()
        world.notified.fates = []
        for name in NAMES:
            world.becomes(name, WELL)
        world.passes(4000)
        check(world.notified)


def check(notified: Notified) -> None:
    by_id: dict[str, dict[str, Any]] = {}
    for document in notified.arrived:
        assert by_id.setdefault(document["id"], document) == document
    open_problems: set[tuple[str, str]] = set()
    for document in by_id.values():
        for event in document["events"]:
            key = (event["gateway"], event["of"])
            if event["event"] == "recovered":
                assert key in open_problems
                open_problems.remove(key)
            elif event["reminder"]:
                assert key in open_problems
            else:
                assert key not in open_problems
                open_problems.add(key)
    assert not open_problems


def test_a_critical_event_does_not_wait_for_the_morning(tmp_path: Path) -> None:
    world = World(tmp_path, NIGHT)
    world.clock.time = world.clock.time.astimezone().replace(hour=23, minute=0)
    world.becomes("boston", UNSERVED)
    world.becomes("kiel", FAILING)
    world.passes(5)
    (first,) = world.notified.arrived
    assert [event["gateway"] for event in first["events"]] == ["boston"]
    assert first["severity"] == Severity.CRITICAL
    world.passes(int(timedelta(hours=9) / MINUTE))
    assert [each["events"][0]["gateway"] for each in world.notified.arrived] == ["boston", "kiel"]
