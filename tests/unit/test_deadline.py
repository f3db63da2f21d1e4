from __future__ import annotations

import threading
import time

from gatecert.deadline import Deadline


def test_the_remaining_time_is_never_negative() -> None:
    deadline = Deadline.after(0.01)

    assert 0 < deadline.remaining <= 0.01
    deadline.wait(5)

    assert deadline.passed
    assert deadline.remaining == 0.0
    assert deadline.within(3) == 0.0


def test_within_is_the_shorter_of_the_two() -> None:
    deadline = Deadline.after(10)

    assert deadline.within(2) == 2
    assert 9 < deadline.within(20) <= 10


def test_a_step_never_exceeds_the_whole_deadline() -> None:
    whole = Deadline.after(10)

    assert whole.sooner(1).remaining <= 1
    assert whole.sooner(60).at == whole.at


def test_a_cancellation_leaves_no_time() -> None:
    cancelled = threading.Event()
    deadline = Deadline.after(60, cancelled)
    step = deadline.sooner(30)
    assert not deadline.interrupted

    cancelled.set()

    assert deadline.interrupted
    assert deadline.passed
    assert step.passed


def test_a_cancellation_ends_a_wait_at_once() -> None:
    cancelled = threading.Event()
    deadline = Deadline.after(60, cancelled)
    started = time.monotonic()
    threading.Timer(0.02, cancelled.set).start()

    deadline.wait(30)

    assert time.monotonic() - started < 5


def test_only_the_instant_is_compared_and_shown() -> None:
    assert Deadline(1.0, threading.Event()) == Deadline(1.0)
    assert repr(Deadline(1.0, threading.Event())) == "Deadline(at=1.0)"
