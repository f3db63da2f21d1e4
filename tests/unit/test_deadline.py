from __future__ import annotations

import threading
import time

from gatecert.deadline import Deadline


def test_time_left_shrinks_to_nothing_and_never_below() -> None:
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


def test_a_step_may_end_sooner_but_not_later_than_the_whole() -> None:
    whole = Deadline.after(10)

    assert whole.sooner(1).remaining <= 1
    assert whole.sooner(60).at == whole.at


def test_cancelling_leaves_no_time_to_the_whole_nor_to_its_steps() -> None:
    cancelled = threading.Event()
    deadline = Deadline.after(60, cancelled)
    step = deadline.sooner(30)
    assert not deadline.interrupted

    cancelled.set()

    assert deadline.interrupted
    assert deadline.passed
    assert step.passed


def test_cancelling_ends_a_wait_at_once() -> None:
    cancelled = threading.Event()
    deadline = Deadline.after(60, cancelled)
    started = time.monotonic()
    threading.Timer(0.02, cancelled.set).start()

    deadline.wait(30)

    assert time.monotonic() - started < 5


def test_only_the_instant_counts_in_comparisons_and_in_the_repr() -> None:
    assert Deadline(1.0, threading.Event()) == Deadline(1.0)
    assert repr(Deadline(1.0, threading.Event())) == "Deadline(at=1.0)"
