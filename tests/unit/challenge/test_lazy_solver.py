"""A solver that is made when it is needed, and only once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gatecert.challenge.lazy_solver import LazySolver
from gatecert.challenge.solver import Challenge, SelfTest
from gatecert.deadline import Deadline
from gatecert.model import Identifier, IdentifierType

if TYPE_CHECKING:
    from gatecert.challenge.solver import Solver

CHALLENGE = Challenge("dns-01", Identifier(IdentifierType.DNS, "vpn.example.com"), "t", "t.x")


class Recorder:
    """A solver that remembers what it was told."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def present(self, challenge: Challenge) -> None:
        self.calls.append(f"present {challenge.token}")

    def wait(self, challenge: Challenge, deadline: Deadline) -> None:
        assert not deadline.passed
        self.calls.append(f"wait {challenge.token}")

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        self.calls.append(f"seen {challenge.token} {seconds:g}")
        return True

    def clean_up(self, challenge: Challenge) -> None:
        self.calls.append(f"clean_up {challenge.token}")


class Tidy(Recorder):
    """One that tidies as well."""

    def remove_leftovers(self) -> None:
        self.calls.append("tidy")


def test_everything_is_passed_on_to_one_solver() -> None:
    made: list[Recorder] = []

    def make() -> Solver:
        made.append(Recorder())
        return made[-1]

    solver = LazySolver(make)
    assert made == []
    solver.present(CHALLENGE)
    solver.wait(CHALLENGE, Deadline.after(1))
    assert solver.wait_for_request(CHALLENGE, 0.5)
    solver.clean_up(CHALLENGE)

    assert len(made) == 1
    assert made[0].calls == ["present t", "wait t", "seen t 0.5", "clean_up t"]


def test_cleaning_up_makes_nothing() -> None:
    def make() -> Solver:
        raise AssertionError("made although nothing was presented")

    solver = LazySolver(make)

    solver.clean_up(CHALLENGE)
    solver.remove_leftovers()


def test_tidying_is_passed_on_where_there_is_something_to_tidy() -> None:
    tidy, plain = Tidy(), Recorder()

    LazySolver(lambda: tidy, lambda: True).remove_leftovers()
    LazySolver(lambda: plain, lambda: True).remove_leftovers()

    assert tidy.calls == ["tidy"]
    assert plain.calls == []


def test_threads_share_one_solver() -> None:
    made: list[Recorder] = []

    def make() -> Solver:
        made.append(Recorder())
        return made[-1]

    solver = LazySolver(make)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(solver.present, [CHALLENGE] * 32))

    assert len(made) == 1
    assert len(made[0].calls) == 32


class Trying(Recorder):
    """One that can be tried out."""

    def test_records(self, trial: SelfTest) -> tuple[str, ...]:
        return (f"tried {trial.gateway}",)


def test_it_is_tried_out_if_it_can_be() -> None:
    trial = SelfTest("dns-01", "boston", ("vpn.example.com",))
    assert LazySolver(Trying).test_records(trial) == ("tried boston",)
    assert LazySolver(Recorder).test_records(trial) == ()
