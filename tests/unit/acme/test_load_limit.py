from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.fakes.clock import Timeless

from gatecert.acme.load_limit import OrderTurns, SharedPause
from gatecert.errors import InterruptedOrderError

# --------------------------------------------------------------------------- turns


def test_no_more_orders_than_allowed_have_a_turn() -> None:
    turns, lock = OrderTurns(3), threading.Lock()
    together = threading.Barrier(3)
    at_once: list[int] = []
    running = 0

    def order(_: int) -> None:
        nonlocal running
        with turns.turn(threading.Event()):
            with lock:
                running += 1
                at_once.append(running)
            together.wait(10)
            with lock:
                running -= 1

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(order, range(12)))

    assert len(at_once) == 12
    assert max(at_once) == 3


def test_a_turn_is_free_again_after_an_error() -> None:
    turns = OrderTurns(1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), turns.turn():
            raise ZeroDivisionError

    with turns.turn(threading.Event()):
        pass


def test_stopping_ends_the_wait_of_every_order() -> None:
    turns, cancelled = OrderTurns(1), threading.Event()
    waiting = threading.Barrier(5)

    def order(_: int) -> str:
        waiting.wait(10)
        try:
            with turns.turn(cancelled):
                return "ordered"
        except InterruptedOrderError:
            return "interrupted"

    with turns.turn(cancelled), ThreadPoolExecutor(4) as pool:
        orders = pool.map(order, range(4))
        waiting.wait(10)
        cancelled.set()
        assert list(orders) == ["interrupted"] * 4


def test_an_order_that_has_to_wait_says_so() -> None:
    turns, cancelled = OrderTurns(1), threading.Event()
    said = []

    def queued() -> None:
        said.append("queued")
        cancelled.set()

    with (
        turns.turn(queued=lambda: said.append("first")),
        pytest.raises(InterruptedOrderError),
        turns.turn(cancelled, queued),
    ):
        pass
    assert said == ["queued"]


# --------------------------------------------------------------------------- the shared pause


def test_without_a_pause_nobody_waits() -> None:
    deadline = Timeless(300.0)

    assert SharedPause().wait(deadline)
    assert deadline.waits == []


def test_the_longest_pause_counts() -> None:
    pause, deadline = SharedPause(), Timeless(300.0)
    pause.extend(20.0)
    pause.extend(5.0)

    assert pause.wait(deadline)
    assert deadline.waits == [pytest.approx(20.0, abs=1.0)]


def test_a_pause_beyond_the_deadline_is_not_waited_for() -> None:
    pause, deadline = SharedPause(), Timeless(300.0)
    pause.extend(400.0)

    assert not pause.wait(deadline)
    assert deadline.waits == []


def test_stopping_ends_the_pause() -> None:
    pause, cancelled = SharedPause(), threading.Event()
    pause.extend(400.0)
    cancelled.set()

    with pytest.raises(InterruptedOrderError):
        pause.wait(Timeless(300.0, cancelled))
