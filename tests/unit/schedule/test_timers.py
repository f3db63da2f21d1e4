"""Timers: real APScheduler, real threads, short waits."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatecert.schedule import timers
from gatecert.schedule.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 5.0


def eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.005)
    return condition()


class Passes:
    """A fake pass that counts its calls and returns when to run again."""

    def __init__(self, again_in: timedelta | None = None) -> None:
        self.count: Counter[str] = Counter()
        self.again_in = again_in
        self.gate = threading.Event()
        self.gate.set()
        self.slow = ""
        self.wake: Callable[[], None] = lambda: None

    def __call__(self, name: str) -> datetime | None:
        self.count[name] += 1
        self.wake()
        if name == self.slow:
            self.gate.wait(PATIENCE)
        return None if self.again_in is None else datetime.now(UTC) + self.again_in


@pytest.fixture
def options() -> dict[str, Any]:
    """Arguments of ``running``, to be overridden by parameters."""
    return {}


@pytest.fixture
def passes() -> Passes:
    return Passes()


@pytest.fixture
def running(passes: Passes, options: dict[str, Any]) -> Iterator[Timers]:
    made = Timers(passes, **options)
    yield made
    passes.gate.set()
    made.stop(PATIENCE)


def test_every_gateway_is_due_at_once(running: Timers, passes: Passes) -> None:
    running.start(["a", "b"])
    assert eventually(lambda: passes.count == {"a": 1, "b": 1})


def test_a_pass_returns_its_next_time(running: Timers, passes: Passes) -> None:
    passes.again_in = timedelta(0)
    running.start(["a"])
    assert eventually(lambda: passes.count["a"] >= 3)


@pytest.mark.parametrize("options", [{"longest_timer": timedelta(milliseconds=1)}])
def test_no_timer_is_longer_than_a_minute(running: Timers, passes: Passes) -> None:
    passes.again_in = timedelta(days=300)
    running.start(["a"])
    assert eventually(lambda: passes.count["a"] >= 2)


@pytest.mark.parametrize("options", [{"longest_timer": timedelta(milliseconds=1)}])
def test_a_pass_without_a_next_time_runs_again(running: Timers, passes: Passes) -> None:
    running.start(["a"])
    assert eventually(lambda: passes.count["a"] >= 2)


def test_a_slow_gateway_delays_no_other(running: Timers, passes: Passes) -> None:
    passes.slow = "slow"
    passes.gate.clear()
    running.start(["slow", "quick"])
    assert eventually(lambda: passes.count == {"slow": 1, "quick": 1})
    running.wake()
    assert eventually(lambda: passes.count["quick"] == 2)
    assert passes.count["slow"] == 1


def test_a_wake_during_a_pass_is_not_lost(running: Timers, passes: Passes) -> None:
    passes.slow = "a"
    passes.gate.clear()
    running.start(["a"])
    assert eventually(lambda: passes.count["a"] == 1)
    running.wake()
    passes.gate.set()
    assert eventually(lambda: passes.count["a"] == 2)


def test_a_pass_that_is_due_again_at_once_is_never_dropped(running: Timers, passes: Passes) -> None:
    passes.wake = running.wake
    running.start(["a"])
    assert eventually(lambda: passes.count["a"] >= 50)


def test_stopping_during_a_pass_logs_nothing(recwarn: pytest.WarningsRecorder) -> None:
    for _ in range(20):
        busy = Passes(timedelta(0))
        made = Timers(busy)
        busy.wake = made.wake
        made.start(["a", "b", "c"])
        assert eventually(lambda busy=busy: busy.count["a"] >= 2)  # type: ignore[misc] # a loop's own
        assert made.stop(PATIENCE)
    assert not recwarn.list


def test_removed_gateways_get_no_more_passes(running: Timers, passes: Passes) -> None:
    running.start(["old", "kept"])
    assert eventually(lambda: passes.count == {"old": 1, "kept": 1})
    running.replace(["kept", "new"])
    assert eventually(lambda: passes.count == {"old": 1, "kept": 2, "new": 1})


def test_stop_waits_for_running_passes(passes: Passes) -> None:
    made = Timers(passes)
    passes.slow = "a"
    passes.gate.clear()
    made.start(["a"])
    assert eventually(lambda: passes.count["a"] == 1)
    assert not made.stop(0.01)
    passes.gate.set()
    assert eventually(lambda: made.stop(0.0))


@pytest.mark.parametrize("options", [{"heartbeat": 0.02}])
def test_the_heartbeat_shows_that_the_scheduler_runs(running: Timers) -> None:
    time.sleep(0.05)
    before = running.seconds_since_heartbeat
    running.start([])
    assert eventually(lambda: running.seconds_since_heartbeat < before)


@pytest.mark.parametrize("options", [{"heartbeat": 0.02}])
def test_the_heartbeat_repeats(running: Timers) -> None:
    running.start([])
    for _ in range(3):
        instant = time.monotonic()
        assert eventually(
            lambda instant=instant: (  # type: ignore[misc] # a loop's own
                running.seconds_since_heartbeat < time.monotonic() - instant
            )
        )


class Clock:
    """Fake clocks that differ after a jump of the wall clock."""

    def __init__(self) -> None:
        self.jump = 0.0

    def time(self) -> float:
        return time.time() + self.jump

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@pytest.mark.parametrize("jump", [-400 * 86_400.0, 400 * 86_400.0, 3.0])
def test_after_a_clock_jump_every_gateway_is_due(
    passes: Passes, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    clock = Clock()
    monkeypatch.setattr(timers, "time", clock)
    made = Timers(passes)
    made.start(["a"])
    try:
        assert eventually(lambda: passes.count["a"] == 1)
        assert not made.check_clock()
        clock.jump = jump
        assert made.check_clock()
        assert eventually(lambda: passes.count["a"] == 2)
        assert not made.check_clock()
    finally:
        made.stop(PATIENCE)


def test_nothing_runs_after_stop(passes: Passes) -> None:
    made = Timers(passes)
    made.start(["a"])
    assert eventually(lambda: passes.count["a"] == 1)
    assert made.stop(PATIENCE)
    made.wake()
    assert passes.count["a"] == 1
