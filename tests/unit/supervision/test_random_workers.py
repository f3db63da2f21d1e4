"""Workers under any sequence of events: no gateway is lost, forgotten, or in two hands at once."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.fakes.worker_process import GARBAGE, LIMITS, Played, PlayedProcess

from gatecert.supervision.messages import Done, Left, Opened, Step, Work
from gatecert.supervision.restart_pauses import LONGEST_PAUSE
from gatecert.supervision.workers import MOST_IN_HAND

FEW = ["a", "b", "c", "d"]
MANY = [f"gateway-{number}" for number in range(MOST_IN_HAND + 10)]


class WorkersMachine(RuleBasedStateMachine):
    """Plays workers that do anything, beside a model of what is owed.

    Attributes:
        waiting: The gateways that have to be given to a process.
        taken: By process, the gateways that it was given and has not finished.
        lost: The gateways that a lost worker had in hand.
    """

    def __init__(self) -> None:
        super().__init__()
        self.played = Played()
        self.waiting: set[str] = set()
        self.taken: dict[PlayedProcess, set[str]] = {}
        self.seen: Counter[PlayedProcess] = Counter()
        self.lost: set[str] = set()
        self.alive: list[PlayedProcess] = []

    @initialize(many=st.booleans())
    def begin(self, *, many: bool) -> None:
        self.names = MANY if many else FEW
        if many:
            for name in self.names:
                self.give(name, look_now=False)

    # ------------------------------------------------------------------ what the core does

    @rule(name=st.sampled_from(FEW), look_now=st.booleans())
    def give(self, name: str, *, look_now: bool) -> None:
        self.waiting.add(name)
        self.played.workers.give(Work(name, look_now=look_now))
        self.follow()

    @rule()
    def reload(self) -> None:
        self.played.adopt()
        self.follow()

    @rule(seconds=st.sampled_from([0.5, 3.0, 31.0, LONGEST_PAUSE]))
    def wait(self, seconds: float) -> None:
        self.played.wait(seconds)
        self.follow()

    @precondition(lambda self: self.played.workers.seconds() is not None)
    @rule()
    def wait_until_something_is_due(self) -> None:
        self.played.wait_for_workers()
        self.follow()

    @rule(refused=st.booleans())
    def allow_starts(self, *, refused: bool) -> None:
        self.played.refused = OSError("no more processes") if refused else None

    # ------------------------------------------------------------------ what a worker does

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def open(self, data: st.DataObject) -> None:
        self.say(self.some(data), Opened({}))

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), name=st.sampled_from(FEW))
    def report_progress(self, data: st.DataObject, name: str) -> None:
        self.say(self.some(data), Step(name, "order", "ordered"))

    @precondition(lambda self: any(self.taken.values()))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        process = self.some(data)
        if self.taken[process]:
            name = data.draw(st.sampled_from(sorted(self.taken[process])))
            self.taken[process].discard(name)
            self.say(process, Done(name))

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), name=st.sampled_from(FEW))
    def finish_what_it_was_not_given(self, data: st.DataObject, name: str) -> None:
        process = self.some(data)
        if name not in self.taken[process]:
            self.say(process, Done(name))

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), loss=st.sampled_from([GARBAGE, EOFError()]), finish=st.booleans())
    def be_lost(self, data: st.DataObject, loss: Exception, *, finish: bool) -> None:
        process = self.some(data)
        messages = [Done(name) for name in sorted(self.taken[process])[:1] if finish]
        for message in messages:
            self.taken[process].discard(message.gateway)
        self.say(process, *messages, loss)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self.say(self.some(data), Left({}), EOFError())

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def grow(self, data: st.DataObject) -> None:
        self.some(data).resident = LIMITS.memory + 1

    # ------------------------------------------------------------------ what must hold

    @invariant()
    def no_gateway_is_in_two_hands(self) -> None:
        in_hand = Counter(name for names in self.taken.values() for name in names)
        assert not [name for name, number in in_hand.items() if number > 1]
        assert self.played.workers.in_hand == set(in_hand)

    @invariant()
    def no_worker_has_more_than_it_can_work_on(self) -> None:
        assert all(len(names) <= MOST_IN_HAND for names in self.taken.values())

    @invariant()
    def a_start_or_a_worker_is_awaited_while_something_is_owed(self) -> None:
        assert self.played.workers.is_idle == (not self.owed)
        assert self.played.workers.seconds() is not None or not self.owed

    @invariant()
    def processes_are_released_once_and_known_while_they_live(self) -> None:
        assert all(process.ended <= 1 for process in self.played.processes)
        present = [worker.process for worker in self.played.present]
        assert present == self.alive

    def teardown(self) -> None:
        """Whatever happened: workers that work bring everything to its end."""
        self.played.refused = None
        for _ in range(100):
            for process in list(self.alive):
                if process in self.alive:
                    self.say(process, Opened({}))
                while process in self.alive and self.taken[process]:
                    name = min(self.taken[process])
                    self.taken[process].discard(name)
                    self.say(process, Done(name))
            if not self.owed and not self.alive:
                break
            self.wait_until_something_is_due()
        assert not self.owed
        assert not self.lost
        assert self.played.workers.seconds() is None

    # ------------------------------------------------------------------ the model

    def some(self, data: st.DataObject) -> PlayedProcess:
        return data.draw(st.sampled_from(self.alive))

    def say(
        self, process: PlayedProcess, *messages: Opened | Step | Done | Left | Exception
    ) -> None:
        self.played.arrive(*messages, at=process)
        self.follow()

    @property
    def owed(self) -> set[str]:
        """The gateways of which a `Done` has to come."""
        return self.waiting.union(*self.taken.values())

    def follow(self) -> None:
        """Learn from the processes what became of them, and what they were given."""
        for process in self.played.processes:
            if process.ended:
                lost = self.taken.pop(process, set())
                self.lost |= lost
                self.waiting |= lost
        for process in self.played.processes:
            if process.ended:
                continue
            new = process.works[self.seen[process] :]
            self.seen[process] += len(new)
            self.taken.setdefault(process, set()).update(work.gateway for work in new)
            for work in new:
                assert bool(work.lost) == (work.gateway in self.lost), work
                self.lost.discard(work.gateway)
                self.waiting.discard(work.gateway)
        self.alive = [process for process in self.played.processes if not process.ended]


TestWorkers = WorkersMachine.TestCase
TestWorkers.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
