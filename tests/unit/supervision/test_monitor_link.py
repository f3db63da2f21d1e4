"""The core's side of the monitor: started, told, replaced, and never in the way."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.fakes.worker_process import GARBAGE, PlayedLasting, Seconds

from gatecert.measurement import Measurement
from gatecert.supervision.kept_process import SETTLED_SECONDS
from gatecert.supervision.messages import Described, Leave, Measured, Message, Ready, Record, Watch
from gatecert.supervision.monitor_link import DESCRIBED_AT_A_TIME, MonitorLink
from gatecert.supervision.restart_pauses import FIRST_PAUSE, LONGEST_PAUSE
from gatecert.supervision.worker_log import WorkerLog

PLAN: dict[str, Any] = {"state_directory": "/state"}


@dataclass
class Core:
    """A core with played monitors."""

    seconds: Seconds = field(default_factory=Seconds)
    monitors: list[PlayedLasting] = field(default_factory=list)
    attached: list[object] = field(default_factory=list)
    refused: OSError | None = None

    def __post_init__(self) -> None:
        self.link = MonitorLink(
            self.start, WorkerLog(), self.attached.append, self.attached.remove, self.seconds
        )

    def start(self) -> PlayedLasting:
        if self.refused is not None:
            raise self.refused
        self.monitors.append(PlayedLasting(len(self.monitors) + 1))
        return self.monitors[-1]

    @property
    def monitor(self) -> PlayedLasting:
        return self.monitors[-1]

    def lose(self) -> None:
        self.monitor.arriving.append(EOFError())
        self.link.serve()

    def wait_and_check(self) -> None:
        seconds = self.link.seconds()
        assert seconds is not None
        self.seconds.now += seconds
        self.link.check()


@pytest.fixture
def core() -> Core:
    core = Core()
    core.link.keep(PLAN, ["a", "b"])
    return core


def test_without_a_plan_there_is_no_process() -> None:
    core = Core()
    core.link.keep({}, ["a"])
    core.link.check()
    core.link.ready()
    core.link.forward(Described("a", {}))
    core.link.lost_worker()
    assert (core.monitors, core.link.seconds(), core.link.to_describe([])) == ([], None, [])


def test_a_new_monitor_is_told_the_plan_and_whether_the_daemon_is_ready(core: Core) -> None:
    core.link.ready()
    assert core.attached == [core.monitor]
    watch = Watch(PLAN, ["a", "b"], os.getpid())
    assert core.monitor.sent == [watch, Ready(ready=False), Ready(ready=True)]


def test_what_workers_describe_and_measure_is_handed_on(core: Core) -> None:
    told = [Described("a", {"x": 1}), Measured("orders_total", {"authority": "le"}, 1.0)]
    for message in told:
        core.link.forward(message)
    core.link.lost_worker()
    assert core.monitor.sent[2:] == [*told, Measured(Measurement.WORKER_RESTARTS, {}, 1.0)]


def test_a_worker_of_the_configuration_before_measures_no_budget(core: Core) -> None:
    order = Measured(Measurement.ORDERS, {"authority": "le", "result": "issued"}, 1.0)
    budget = Measured(Measurement.BUDGET_REMAINING, {"authority": "le", "limit": "orders"}, 3.0)
    for message in (order, budget):
        core.link.forward(message, is_old=True)
    assert core.monitor.sent[2:] == [order]
    core.link.forward(budget)
    assert core.monitor.sent[3:] == [budget]


def test_gateways_are_described_once_the_daemon_is_ready(core: Core) -> None:
    assert core.link.to_describe([]) == []
    core.link.ready()
    assert core.link.to_describe([]) == ["a", "b"]
    assert core.link.to_describe(["a"]) == ["b"]
    core.link.forward(Described("a", {}))
    core.link.done("b")  # which could not be described
    assert core.link.to_describe([]) == []


def test_describing_leaves_room_for_passes() -> None:
    core = Core()
    core.link.keep(PLAN, [f"g{number}" for number in range(1000)])
    core.link.ready()
    busy = [f"g{number}" for number in range(10)]
    assert len(core.link.to_describe(busy)) == DESCRIBED_AT_A_TIME - 10
    assert core.link.to_describe([f"g{number}" for number in range(64)]) == []


def test_a_lost_monitor_is_replaced_after_ever_longer_pauses(
    core: Core, caplog: pytest.LogCaptureFixture
) -> None:
    core.link.ready()
    core.link.forward(Described("a", {}))
    pauses = []
    for _ in range(12):
        core.lose()
        assert core.attached == []
        core.link.check()
        assert core.link.process is None
        pauses.append(core.link.seconds())
        core.wait_and_check()
    assert pauses[:3] == pytest.approx([FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE])
    assert pauses[-1] == LONGEST_PAUSE
    assert core.monitor.sent == [Watch(PLAN, ["a", "b"], os.getpid()), Ready(ready=True)]
    assert core.link.to_describe([]) == ["a", "b"]  # the new one knows none
    assert all(each.ended == 1 for each in core.monitors[:-1])
    assert "monitor lost pid=1" in caplog.text
    assert "certificates are kept as before" in caplog.text


def test_a_monitor_that_has_run_for_long_is_replaced_soon(core: Core) -> None:
    for _ in range(5):
        core.lose()
        core.wait_and_check()
    core.seconds.now += SETTLED_SECONDS
    core.lose()
    assert core.link.seconds() == FIRST_PAUSE


@pytest.mark.parametrize("sent", [GARBAGE, Leave()])
def test_a_monitor_that_sends_garbage_is_replaced(core: Core, sent: Message | Exception) -> None:
    core.monitor.arriving.append(sent)
    core.link.serve()
    assert core.link.process is None
    assert core.link.seconds() == FIRST_PAUSE


def test_a_monitor_that_reads_nothing_is_replaced_and_the_core_goes_on(core: Core) -> None:
    core.monitor.is_overrun = True
    core.link.forward(Described("a", {}))
    core.link.forward(Described("b", {}))
    assert core.monitor.ended == 1
    core.wait_and_check()
    assert len(core.monitors) == 2


def test_a_monitor_that_cannot_be_started_is_tried_again(
    core: Core, caplog: pytest.LogCaptureFixture
) -> None:
    core.lose()
    core.refused = OSError("no memory")
    core.wait_and_check()
    assert core.link.process is None
    assert "the monitor cannot be started error=no memory" in caplog.text
    core.refused = None
    core.wait_and_check()
    assert core.link.process is core.monitor


def test_a_reload_changes_the_plan_of_the_same_process(core: Core) -> None:
    core.link.ready()
    core.link.keep({"state_directory": "/state", "page": {}}, ["b", "c"])
    core.link.ready()
    assert len(core.monitors) == 1
    assert core.monitor.sent[-2:] == [
        Watch({"state_directory": "/state", "page": {}}, ["b", "c"], os.getpid()),
        Ready(ready=True),
    ]
    assert core.link.to_describe([]) == ["b", "c"]


def test_a_daemon_stays_ready_during_a_reload(core: Core) -> None:
    core.link.ready()
    core.link.keep(PLAN, ["b", "c"])
    core.lose()
    core.wait_and_check()
    assert core.monitor.sent == [Watch(PLAN, ["b", "c"], os.getpid()), Ready(ready=True)]
    assert core.link.to_describe([]) == []  # passes that prepare gateways come first


def test_a_monitor_that_is_not_wanted_any_more_leaves(core: Core) -> None:
    core.link.keep({}, ["a"])
    assert core.monitor.sent[-2:] == [Watch({}, [], os.getpid()), Leave()]
    assert (core.monitor.ended, core.attached, core.link.seconds()) == (1, [], None)
    assert core.monitor.waited > 0


def test_a_monitor_that_reads_nothing_is_released_once_at_the_end(core: Core) -> None:
    core.monitor.is_overrun = True
    core.link.stop()
    assert (core.monitor.ended, core.attached, core.link.process) == (1, [], None)


def test_its_log_records_are_logged_by_the_core(
    core: Core, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    core.monitor.arriving.append(
        Record("gatecert.m", logging.WARNING, "page: %s", ["port taken"], "f", 1, "f", 1.0)
    )
    core.link.serve()
    assert "page: port taken" in caplog.text
