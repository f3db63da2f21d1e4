"""A solver that is built at its first use, and only once."""

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
    """A solver that records its calls."""

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


class Cleaner(Recorder):
    """A solver that can remove leftovers."""

    def remove_leftovers(self) -> None:
        self.calls.append("cleanup")


def test_every_call_is_delegated_to_one_solver() -> None:
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


def test_clean_up_builds_no_solver() -> None:
    def make() -> Solver:
        raise AssertionError("made although nothing was presented")

    solver = LazySolver(make)

    solver.clean_up(CHALLENGE)
    solver.remove_leftovers()


def test_remove_leftovers_is_delegated_if_there_are_any() -> None:
    cleaner, plain = Cleaner(), Recorder()

    LazySolver(lambda: cleaner, lambda: True).remove_leftovers()
    LazySolver(lambda: plain, lambda: True).remove_leftovers()

    assert cleaner.calls == ["cleanup"]
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


class RecordTestingSolver(Recorder):
    """A solver that can test records."""

    def test_records(self, trial: SelfTest) -> tuple[str, ...]:
        return (f"tried {trial.gateway}",)


def test_records_are_tested_if_the_solver_supports_it() -> None:
    trial = SelfTest("dns-01", "boston", ("vpn.example.com",))
    assert LazySolver(RecordTestingSolver).test_records(trial) == ("tried boston",)
    assert LazySolver(Recorder).test_records(trial) == ()
