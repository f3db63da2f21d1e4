from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from tests.fakes import gateway_statuses
from tests.fakes.clock import DAY, HOUR, MINUTE, START, Clock
from tests.fakes.gateway_statuses import error
from tests.fakes.notified import Fate, Notified

from gatecert.model import Event, Mode, ReceiverPlan, Severity
from gatecert.model.monitoring import ReceiverKind
from gatecert.monitoring.delivery_answer import Answer
from gatecert.monitoring.notification_state import FILE_NAME
from gatecert.monitoring.notifications import Notifications, known_state
from gatecert.report.gateway_status import Condition, GatewayStatus
from gatecert.report.monitoring_status import ReceiverStatus
from gatecert.store import durable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from gatecert.monitoring.notification_state import Outgoing

PLAN = ReceiverPlan("ops", ReceiverKind.COMMAND)


def gateway(name: str, state: Condition = Condition.TRUSTED, **changes: object) -> GatewayStatus:
    """Return the status of a gateway whose certificate does not end in any test."""
    lifetime = {"not_before": START, "not_after": START + 1000 * DAY}
    return gateway_statuses.gateway(name, state, **lifetime | changes)


def failing(name: str = "boston") -> GatewayStatus:
    return gateway(name, failures=3, last_error=error("acme", "refused"))


def unserved(name: str = "boston") -> GatewayStatus:
    return gateway(name, Condition.SILENT, served=False, served_detail="no answer")


def ending(left: timedelta) -> GatewayStatus:
    end = START + 14 * DAY
    now = end - left
    return gateway("boston", not_before=now - 60 * DAY, not_after=now + left)


class Scene:
    """A monitor with one receiver, and a clock that goes to what is due."""

    def __init__(self, directory: Path, plan: ReceiverPlan = PLAN, *fates: Fate) -> None:
        self.directory = directory
        self.plan = plan
        self.clock = Clock()
        self.notified = Notified([*fates])
        self.measured: list[tuple[str, float]] = []
        self.start()

    def start(self) -> None:
        self.monitor = Notifications(
            [self.plan],
            self.directory,
            self.clock,
            deliver=self.notified,
            measure=self._measure,
            host="vpn1",
        )

    def _measure(self, name: str, labels: Mapping[str, str], value: float) -> None:
        assert labels["receiver"] == self.plan.name
        self.measured.append((f"{name} {labels.get('result', '')}".strip(), value))

    def passes(self, length: timedelta) -> list[datetime]:
        """Let time pass; return when messages arrived."""
        end, times = self.clock.time + length, []
        while (due := self.monitor.next_at()) is not None and due <= end:
            self.clock.time = max(due, self.clock.time)
            before = len(self.notified.arrived)
            asyncio.run(self.monitor.run_due())
            times += [self.clock.time] * (len(self.notified.arrived) - before)
        self.clock.time = end
        return times

    @property
    def status(self) -> ReceiverStatus:
        (status,) = self.monitor.statuses()
        return status


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_what_happens_within_a_minute_is_one_message(scene: Scene) -> None:
    scene.monitor.seen(failing("boston"))
    scene.clock.time += 50 * timedelta(seconds=1)
    scene.monitor.seen(unserved("kiel"))
    assert scene.passes(HOUR) == [START + MINUTE]
    assert scene.notified.titles == ["gatecert: 1 critical, 1 warning: kiel, boston"]
    assert scene.status == ReceiverStatus("ops", told_at=START + MINUTE)


def test_what_is_over_before_it_was_told_is_not_told(scene: Scene) -> None:
    scene.monitor.seen(failing())
    scene.monitor.seen(gateway("boston"))
    assert scene.passes(DAY) == []


def test_nothing_is_due_if_nothing_is_wrong(scene: Scene) -> None:
    assert scene.monitor.next_at() is None
    scene.monitor.seen(gateway("boston"))
    scene.passes(MINUTE)  # what it was like is written
    assert scene.monitor.next_at() == START + (1000 - 14) * DAY  # when it ends soon
    assert not scene.notified.attempts


def test_what_recovered_is_told_once(scene: Scene) -> None:
    scene.monitor.seen(failing())
    scene.passes(HOUR)
    scene.monitor.seen(gateway("boston"))
    assert len(scene.passes(60 * DAY)) == 1
    assert scene.notified.titles[-1] == "gatecert: recovered: boston"
    assert not json.loads((scene.directory / FILE_NAME).read_bytes())["receivers"]["ops"]["told"]


def test_what_comes_back_within_a_minute_was_never_over(scene: Scene) -> None:
    scene.monitor.seen(failing())
    scene.passes(HOUR)
    for _ in range(20):
        scene.monitor.seen(gateway("boston"))
        assert scene.passes(50 * timedelta(seconds=1)) == []
        scene.monitor.seen(failing())
        assert scene.passes(10 * timedelta(seconds=1)) == []


def test_a_gateway_that_fails_every_ten_minutes_is_soon_left_as_failing(scene: Scene) -> None:
    for _ in range(100):
        scene.monitor.seen(failing())
        scene.passes(5 * MINUTE)
        scene.monitor.seen(gateway("boston"))
        scene.passes(5 * MINUTE)
    assert [said[2] for said in scene.notified.said] == [*["failed", "recovered"] * 2, "failed"]
    assert scene.passes(2 * HOUR) == [START + 100 * 10 * MINUTE + 11 * MINUTE]
    scene.passes(2 * DAY)
    scene.monitor.seen(failing())
    scene.passes(2 * MINUTE)
    scene.monitor.seen(gateway("boston"))
    assert len(scene.passes(2 * MINUTE)) == 1  # all is forgotten


def test_reminders_become_rarer(scene: Scene) -> None:
    scene.monitor.seen(failing())
    times = scene.passes(200 * DAY)
    pauses = [round((after - before) / DAY) for before, after in pairwise(times)]
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30, 30, 30]
    assert scene.notified.titles[1].startswith("gatecert: still warning: boston")


def test_reminders_go_together(scene: Scene) -> None:
    for number in range(5):
        scene.monitor.seen(failing(f"edge-{number}"))
        scene.passes(2 * MINUTE)
    assert len(scene.notified.arrived) == 5
    assert len(scene.passes(DAY)) == 1
    assert len(scene.notified.arrived[-1]["events"]) == 5


def test_what_becomes_critical_is_told_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path, replace(PLAN, remind=30 * DAY))
    scene.monitor.seen(ending(10 * DAY))
    scene.passes(HOUR)
    scene.monitor.seen(ending(10 * DAY))
    assert scene.passes(DAY) == []
    scene.clock.time = START + 13 * DAY
    scene.monitor.seen(ending(14 * DAY))
    assert len(scene.passes(HOUR)) == 1
    severities = [each["severity"] for each in scene.notified.arrived]
    assert severities == [Severity.WARNING, Severity.CRITICAL]


def test_a_certificate_is_told_of_in_time_without_a_pass(scene: Scene) -> None:
    end = START + 100 * DAY
    scene.monitor.seen(gateway("boston", not_before=end - 120 * DAY, not_after=end))
    times = scene.passes(99 * DAY)
    severities = [each["severity"] for each in scene.notified.arrived]
    assert times[0] == end - 14 * DAY + MINUTE
    assert severities == ["warning", "warning", "warning", "warning", "critical", "critical"]
    assert times[4] == end - 14 * DAY / 4 + MINUTE


def test_a_receiver_chooses_events_and_severity(tmp_path: Path) -> None:
    critical = Scene(tmp_path / "a", replace(PLAN, severity=Severity.CRITICAL))
    critical.directory.mkdir()
    critical.monitor.seen(failing("a"))
    critical.monitor.seen(unserved("b"))
    critical.passes(HOUR)
    assert [said[1] for said in critical.notified.said] == ["b"]
    silent = Scene(tmp_path / "b", replace(PLAN, events=(Event.FAILED,)))
    silent.directory.mkdir()
    silent.monitor.seen(failing("a"))
    silent.monitor.seen(unserved("b"))
    silent.passes(HOUR)
    silent.monitor.seen(gateway("a"))
    silent.passes(DAY)
    assert [said[1:] for said in silent.notified.said] == [("a", "failed")]


def test_a_receiver_of_critical_events_hears_no_more_of_warnings(scene: Scene) -> None:
    scene.monitor.seen(failing("a"))
    scene.monitor.seen(unserved("b"))
    scene.passes(HOUR)
    scene.plan = replace(PLAN, severity=Severity.CRITICAL)
    scene.start()
    scene.monitor.seen(failing("a"))
    scene.monitor.seen(unserved("b"))
    scene.passes(2 * DAY)
    scene.monitor.seen(gateway("a"))
    scene.monitor.seen(gateway("b"))
    scene.passes(HOUR)
    later = [said[1:] for said in scene.notified.said[2:]]
    assert later == [("b", "not-served"), ("b", "recovered")]  # the first one is a reminder


def test_a_receiver_of_critical_events_hears_that_what_it_knows_is_over(tmp_path: Path) -> None:
    scene = Scene(tmp_path, replace(PLAN, severity=Severity.CRITICAL))
    for left in (DAY, 10 * DAY):  # critical, and a warning
        end = START + left
        scene.monitor.seen(gateway("boston", not_before=end - 90 * DAY, not_after=end))
        scene.passes(HOUR)
    scene.start()
    scene.monitor.seen(gateway("boston"))
    scene.passes(HOUR)
    assert [said[2] for said in scene.notified.said] == ["ends-soon", "recovered"]


def test_a_dead_receiver_is_tried_at_growing_intervals(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scene = Scene(tmp_path, PLAN, *[Fate.REFUSED] * 9)
    scene.monitor.seen(failing("a"))
    scene.passes(10 * MINUTE)
    assert len(scene.notified.attempts) == 4  # after 1, 2, 4, 8 minutes
    scene.monitor.seen(unserved("b"))
    scene.monitor.seen(gateway("a"))
    status = scene.status
    assert (status.problem, status.fix, status.waiting) == ("it does not work", "repair it", 1)
    assert status.failing_since == START + MINUTE
    times = scene.passes(DAY / 2)
    assert [said[1:] for said in scene.notified.said] == [("b", "not-served")]
    assert times == [START + timedelta(minutes=1 + 1 + 2 + 4 + 8 + 16 + 32 + 60 + 60 + 60)]
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "notification not accepted receiver=ops why=it does not work fix=repair it",
        "notifications work again receiver=ops",
    ]
    assert scene.status == ReceiverStatus("ops", told_at=times[0])
    assert scene.measured.count(("notifications_total failed", 1.0)) == 9
    assert scene.measured[-1] == ("notifications_total delivered", 1.0)


def test_a_dead_receiver_has_no_problem_once_nothing_waits(tmp_path: Path) -> None:
    scene = Scene(tmp_path, PLAN, *[Fate.REFUSED] * 3)
    scene.monitor.seen(failing())
    scene.passes(2 * MINUTE)
    scene.start()  # before it is described again, too
    assert scene.status.problem == "it does not work"
    scene.monitor.seen(failing())
    scene.passes(3 * MINUTE)
    assert scene.status.problem == "it does not work"
    scene.monitor.seen(gateway("boston"))
    assert scene.passes(DAY) == []
    assert scene.status == ReceiverStatus("ops")


def test_one_dead_url_keeps_nothing_from_the_others(tmp_path: Path) -> None:
    scene = Scene(tmp_path, PLAN, *[Fate.PARTIAL] * 6)
    scene.monitor.seen(failing("a"))
    scene.passes(10 * MINUTE)
    scene.monitor.seen(unserved("b"))
    assert scene.passes(5 * MINUTE) == []
    scene.passes(5 * MINUTE)
    assert [said[1:] for said in scene.notified.said] == [("a", "failed"), ("b", "not-served")]
    assert len(scene.notified.attempts) == 6  # five, and one with the next message
    assert scene.status.problem == "it does not work"
    assert scene.status.failing_since == START + MINUTE
    scene.monitor.seen(gateway("a"))
    scene.passes(HOUR)
    assert scene.notified.titles[-1] == "gatecert: recovered: a"
    assert not scene.status.problem


def test_a_dead_url_stays_a_problem_when_all_is_over(tmp_path: Path) -> None:
    scene = Scene(tmp_path, PLAN, *[Fate.PARTIAL] * 6)
    scene.monitor.seen(failing())
    scene.passes(HOUR)
    scene.monitor.seen(gateway("boston"))
    scene.passes(HOUR)
    assert scene.notified.titles[-1] == "gatecert: recovered: boston"
    assert scene.status.problem == "it does not work"


def test_a_message_that_may_have_arrived_is_repeated_as_it_was(tmp_path: Path) -> None:
    scene = Scene(tmp_path, PLAN, Fate.UNANSWERED, Fate.REFUSED)
    scene.monitor.seen(failing("a"))
    scene.passes(MINUTE)
    scene.monitor.seen(unserved("b"))
    scene.passes(HOUR)
    first, again, second = scene.notified.arrived
    assert first == again
    assert [event["gateway"] for event in second["events"]] == ["b"]


def test_after_a_start_nothing_is_known_of_a_gateway_before_it_is_described(scene: Scene) -> None:
    scene.monitor.seen(failing("a"))
    scene.monitor.seen(failing("b"))
    scene.passes(HOUR)
    scene.start()
    assert scene.passes(40 * DAY) == []
    scene.monitor.seen(failing("a"))
    assert len(scene.passes(MINUTE)) == 1  # a reminder
    assert [event["gateway"] for event in scene.notified.arrived[-1]["events"]] == ["a"]
    scene.monitor.seen(gateway("b"))
    scene.passes(HOUR)
    assert scene.notified.titles[-1] == "gatecert: recovered: b"


def test_what_a_gateway_was_like_outlives_the_monitor(scene: Scene) -> None:
    scene.monitor.seen(gateway("a", points_here=True))
    scene.passes(HOUR)
    scene.start()
    scene.monitor.seen(gateway("a", points_here=False))
    scene.passes(HOUR)
    assert [said[2] for said in scene.notified.said] == ["name-moved"]


@pytest.mark.parametrize(
    "changes",
    [{"hostname": "b.example.com"}, {"is_looked_up": False}, {"mode": Mode.CUSTOM}],
)
def test_a_name_that_cannot_be_looked_up_has_not_come_back(
    scene: Scene, changes: dict[str, object]
) -> None:
    for here in (True, False, None, False, None):
        scene.monitor.seen(gateway("a", points_here=here))
        scene.passes(HOUR)
    assert [said[2] for said in scene.notified.said] == ["name-moved"]
    scene.monitor.seen(gateway("a", Condition.TRUSTED, points_here=None, **changes))
    scene.passes(HOUR)
    assert [said[2] for said in scene.notified.said] == ["name-moved", "recovered"]


def test_a_gateway_that_is_no_longer_configured_is_forgotten(scene: Scene) -> None:
    for name in ("a", "b", "c"):
        scene.monitor.seen(failing(name))
    scene.passes(HOUR)
    scene.start()
    scene.monitor.seen(failing("a"))
    scene.monitor.seen(failing("b"))
    scene.monitor.keep(["a", "b"])  # c was removed while nothing ran
    scene.monitor.forget("b")
    scene.passes(2 * DAY)
    assert [event["gateway"] for event in scene.notified.arrived[-1]["events"]] == ["a"]
    assert known_state(scene.directory / FILE_NAME).gateways.keys() == {"a"}


def test_a_receiver_keeps_its_memory_at_another_place(tmp_path: Path) -> None:
    def monitor(*plans: ReceiverPlan) -> None:
        async def deliver(plan: ReceiverPlan, message: Outgoing) -> Answer:
            told.append(f"{plan.name} {plan.command[0]} {message.document['title']}")
            return Answer(accepted=plan.command != ("ill",), problem="it does not work")

        running = Notifications(plans, tmp_path, clock, deliver=deliver, host="vpn1")
        running.seen(failing())
        clock.time += MINUTE
        asyncio.run(running.run_due())

    told: list[str] = []
    clock = Clock()
    well = replace(PLAN, name="command-1", command=("well",))
    ill = replace(PLAN, name="command-2", command=("ill",))
    monitor(well, ill)
    assert [each.partition(" gatecert:")[0] for each in told] == ["command-1 well", "command-2 ill"]
    told.clear()
    monitor(replace(ill, name="command-1"), replace(well, name="command-2"))
    assert [each.partition(" gatecert:")[0] for each in told] == ["command-1 ill"]
    told.clear()
    monitor(replace(PLAN, name="command-1", command=("new",)))
    assert [each.partition(" gatecert:")[0] for each in told] == ["command-1 new"]
    states = known_state(tmp_path / FILE_NAME).receivers
    assert [(name, each.told_at) for name, each in states.items()] == [("command-1", clock.time)]


def test_a_receiver_of_an_earlier_version_is_known_by_its_name(scene: Scene) -> None:
    scene.monitor.seen(failing())
    scene.passes(HOUR)
    path = scene.directory / FILE_NAME
    record = json.loads(path.read_bytes())
    del record["receivers"]["ops"]["identity"]
    path.write_text(json.dumps(record), "utf-8")
    scene.start()
    scene.monitor.seen(failing())
    assert scene.passes(HOUR) == []


@pytest.mark.parametrize("restarts", [False, True])
def test_a_clock_that_was_ahead_silences_nobody(tmp_path: Path, *, restarts: bool) -> None:
    scene = Scene(tmp_path)

    def set_back() -> None:
        scene.clock.time = START
        if restarts:
            scene.monitor.close()
            scene.start()

    scene.clock.time += 365 * DAY
    scene.monitor.seen(failing("a"))
    set_back()
    scene.monitor.seen(failing("a"))
    assert scene.passes(2 * MINUTE) == [START + MINUTE]

    scene.clock.time += 365 * DAY
    scene.monitor.seen(gateway("a"))
    scene.monitor.seen(failing("b"))
    scene.passes(2 * MINUTE)  # both are told
    scene.monitor.seen(failing("a"))
    scene.monitor.seen(gateway("b"))
    set_back()
    scene.monitor.seen(failing("a"))
    scene.monitor.seen(gateway("b"))
    assert scene.passes(HOUR) == [START + MINUTE]
    assert [said[1:] for said in scene.notified.said[-2:]] == [("a", "failed"), ("b", "recovered")]
    assert scene.passes(DAY) == [START + DAY + MINUTE]  # a reminder
    assert scene.status.told_at == START + DAY + MINUTE


def test_a_receiver_that_failed_while_the_clock_was_ahead_is_tried_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path, PLAN, *[Fate.REFUSED] * 3)
    scene.clock.time += 365 * DAY
    scene.monitor.seen(unserved())
    scene.passes(2 * MINUTE)
    scene.clock.time = START
    scene.monitor.seen(unserved())
    times = scene.passes(5 * HOUR)
    assert len(scene.notified.attempts) == 4
    assert times[0] <= START + HOUR + 4 * MINUTE
    assert known_state(tmp_path / FILE_NAME).receivers["ops"].told_at == times[0]


def test_a_record_that_was_due_while_the_clock_was_ahead_is_written(scene: Scene) -> None:
    scene.clock.time += 365 * DAY
    scene.monitor.seen(gateway("a", points_here=True))
    scene.clock.time = START
    scene.monitor.seen(gateway("a", points_here=True))
    scene.passes(MINUTE)
    assert known_state(scene.directory / FILE_NAME).gateways.keys() == {"a"}


def test_a_damaged_record_is_set_aside_and_all_is_told_again(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.monitor.seen(failing())
    scene.passes(HOUR)
    path = scene.directory / FILE_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b'{"schema": 1')
    assert known_state(path).receivers == {}
    assert path.exists()
    scene.start()
    assert not path.exists()
    assert "damaged" in caplog.text
    scene.monitor.seen(failing())
    scene.passes(HOUR)
    assert len({said[0] for said in scene.notified.said}) == 2


def test_a_full_disk_keeps_nobody_from_being_told(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(name: str, path: Path) -> None:
        if name == "write":
            raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(durable, "on_step", full)
    scene.monitor.seen(failing())
    scene.passes(HOUR)
    assert len(scene.notified.arrived) == 1
    assert caplog.text.count("not recorded") == 1


def test_a_receiver_that_hangs_delays_no_other(tmp_path: Path) -> None:
    async def play() -> list[str]:
        told: list[str] = []
        release = asyncio.Event()

        async def deliver(plan: ReceiverPlan, message: Outgoing) -> Answer:
            if plan.name == "hangs":
                await release.wait()
            told.append(f"{plan.name} {message.document['title']}")
            return Answer(accepted=True)

        clock = Clock()
        plans = [replace(PLAN, name="hangs"), replace(PLAN, name="works")]
        monitor = Notifications(plans, tmp_path, clock, deliver=deliver)
        running = []
        for name in ("a", "b"):
            monitor.seen(failing(name))
            clock.time += 2 * MINUTE
            running.append(asyncio.create_task(monitor.run_due()))
            await asyncio.sleep(0.01)
        release.set()
        await asyncio.gather(*running)
        return told

    assert [each.partition(" ")[0] for each in asyncio.run(play())] == ["works", "works", "hangs"]


def test_an_unexpected_error_is_one_receiver_s_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def deliver(plan: ReceiverPlan, message: Outgoing) -> Answer:
        del plan, message
        raise RuntimeError("a defect")

    clock = Clock()
    monitor = Notifications([PLAN], tmp_path, clock, deliver=deliver)
    monitor.seen(failing())
    clock.time += HOUR
    asyncio.run(monitor.run_due())
    (status,) = monitor.statuses()
    assert status.problem == "unexpected error"
    assert status.next_at == clock.time + MINUTE
    assert "a defect" in caplog.text


def test_ten_thousand_gateways_that_fail_are_one_message(scene: Scene) -> None:
    for number in range(10_000):
        scene.monitor.seen(failing(f"edge-{number:05}"))
        assert scene.monitor.next_at() is not None
    assert len(scene.passes(HOUR)) == 1
    assert scene.notified.arrived[0]["more"] == 9_800
    assert len(json.dumps(scene.notified.arrived[0])) < 100_000
