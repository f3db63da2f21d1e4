"""Workers on demand: who works on which gateway, and what follows when one is lost."""

from __future__ import annotations

import logging

import pytest
from tests.fakes.worker_process import GARBAGE, LIMITS, Played, PlayedProcess

from gatecert.errors import StateError
from gatecert.supervision.messages import (
    Done,
    Leave,
    Left,
    Message,
    MessageError,
    Open,
    Opened,
    Record,
    Resume,
    Retain,
    Step,
    Work,
)
from gatecert.supervision.restart_pauses import FIRST_PAUSE, LONGEST_PAUSE
from gatecert.supervision.workers import (
    ABORT_SECONDS,
    LEAVE_SECONDS,
    MEMORY_INTERVAL,
    MOST_IN_HAND,
    START_SECONDS,
    Worker,
)

NAMES = [f"gateway-{number:03}" for number in range(MOST_IN_HAND + 6)]


@pytest.fixture
def played() -> Played:
    return Played()


# ---------------------------------------------------------------------- on demand


def test_no_worker_is_started_while_there_is_no_work(played: Played) -> None:
    played.workers.check()
    assert not played.processes
    assert played.workers.seconds() is None
    assert played.workers.is_idle


def test_work_starts_a_worker_with_the_configuration_in_force(played: Played) -> None:
    played.workers.listening = True
    played.give("hq")
    assert played.process.sent == [Resume(), Open({}, listening=True)]
    assert not played.workers.is_idle
    played.arrive(Opened({}))
    assert played.process.sent[2:] == [Work("hq")]
    assert played.workers.in_hand == {"hq"}


def test_work_on_many_gateways_starts_one_worker(played: Played) -> None:
    process = played.working("a", "b")
    played.give("c")
    assert played.processes == [process]
    assert process.names == ["a", "b", "c"]


def test_a_worker_has_no_more_in_hand_than_it_has_threads(played: Played) -> None:
    process = played.working(*NAMES)
    assert process.names == NAMES[:MOST_IN_HAND]
    played.finish(process, NAMES[7], NAMES[3])
    assert process.names == NAMES[: MOST_IN_HAND + 2]
    assert len(played.workers.in_hand) == MOST_IN_HAND


def test_an_idle_worker_is_asked_to_leave(played: Played) -> None:
    process = played.working("hq")
    played.finish(process, "hq")
    assert played.workers.is_idle
    assert played.workers.seconds() == LIMITS.idle
    played.wait(LIMITS.idle - 1)
    assert not process.farewells
    played.wait(1)
    assert process.farewells == [Leave()]
    played.wait(1)
    assert process.farewells == [Leave()]
    played.arrive(Left({}), EOFError())
    assert (process.ended, played.reasons) == (1, [""])
    assert played.workers.seconds() is None


def test_an_idle_worker_stays_if_there_is_work_soon(played: Played) -> None:
    process = played.working("hq")
    played.finish(process, "hq")
    played.work_in = LIMITS.idle
    for _ in range(3):
        played.wait_for_workers()
    assert not process.farewells
    assert played.workers.seconds() == LIMITS.idle
    played.work_in = LIMITS.idle + 1
    played.wait_for_workers()
    assert process.farewells == [Leave()]


def test_work_while_a_worker_leaves_is_for_the_next_one(played: Played) -> None:
    process = played.working("hq")
    played.finish(process, "hq")
    played.wait(LIMITS.idle)
    played.give("hq")
    assert process.names == ["hq"]
    played.arrive(Left({}), EOFError())
    assert played.process is not process
    played.arrive(Opened({}))
    assert played.process.works == [Work("hq")]


def test_a_worker_that_was_asked_to_leave_and_stays_is_killed(played: Played) -> None:
    process = played.working("hq")
    played.finish(process, "hq")
    played.wait_for_workers()
    assert played.workers.seconds() == LEAVE_SECONDS
    played.wait_for_workers()
    assert (process.ended, played.reasons) == (1, [""])


def test_work_on_a_gateway_in_hand_waits_for_its_end(played: Played) -> None:
    process = played.working("hq")
    played.give("hq")
    assert process.names == ["hq"]
    played.finish(process, "hq")
    assert process.names == ["hq", "hq"]


def test_waiting_work_on_the_same_gateway_is_merged(played: Played) -> None:
    process = played.working("hq")
    played.workers.give(Work("hq", prepare=True, attend=False))
    played.workers.give(Work("hq", look_now=True))
    played.workers.give(Work("hq"))
    played.finish(process, "hq")
    assert process.works == [Work("hq"), Work("hq", look_now=True, prepare=True, attend=True)]
    played.finish(process, "hq")
    assert played.workers.is_idle


def test_work_on_a_removed_gateway_is_forgotten(played: Played) -> None:
    played.give("a", "b")
    played.workers.keep(["b", "c"])
    played.arrive(Opened({}))
    assert played.process.names == ["b"]


def test_messages_are_passed_on(played: Played) -> None:
    process = played.working("hq")
    messages: list[Message] = [
        Step("hq", "order", "ordered"),
        Record("gatecert", 20, "text", [], "", 1, "", 0.0),
        Done("hq"),
    ]
    played.arrive(*messages, at=process)
    assert played.received_messages == [Opened({}), *messages]


def test_the_end_of_work_that_nobody_gave_is_ignored(played: Played) -> None:
    process = played.working("hq")
    played.arrive(Done("other"), Done("hq"), Done("hq"), at=process)
    assert played.received_messages == [Opened({}), Done("hq")]


# ---------------------------------------------------------------------- loss


# What a worker sends, from its start to its end
CONVERSATION: tuple[Message, ...] = (
    Opened({}),
    Record("gatecert", 20, "text", [], "", 1, "", 0.0),
    Step("a", "order", "ordered"),
    Done("a"),
    Done("b"),
    Left({}),
)
LOSSES = {
    "crash": EOFError(),
    "garbage": GARBAGE,
    "half a line": MessageError("half a message"),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("said", range(len(CONVERSATION)))
def test_only_gateways_in_hand_count_a_failure(
    played: Played, said: int, loss: Exception, *, together: bool
) -> None:
    """Wherever a conversation ends, and whether the end arrives with the message before it."""
    played.give("a", "b")
    process = played.process
    first, rest = CONVERSATION[: min(said, 1)], CONVERSATION[1:said]
    for message in first if together else CONVERSATION[:said]:
        played.arrive(message)
    played.arrive(*(rest if together else ()), loss)
    finished = {each.gateway for each in CONVERSATION[:said] if isinstance(each, Done)}
    assert process.ended == 1
    assert not played.workers.in_hand
    if finished == {"a", "b"}:
        assert played.workers.is_idle
        return
    following = played.next_worker()
    assert set(following.names) == {"a", "b"} - finished
    assert {work.gateway for work in following.works if work.lost} == (
        {"a", "b"} - finished if said else set()
    )
    played.finish(following, *following.names)
    assert played.workers.is_idle


@pytest.mark.parametrize("said", range(len(CONVERSATION)))
def test_a_loss_while_a_worker_leaves_loses_nothing(played: Played, said: int) -> None:
    """The old worker of a reload ends at any message; the new one takes over what it had."""
    played.give("a", "b")
    before = played.process
    for message in CONVERSATION[:said]:
        played.arrive(message)
    after = played.adopt()
    played.give("a", "b", "c")
    played.arrive(EOFError(), at=before)
    played.wait(LONGEST_PAUSE)
    finished = {each.gateway for each in CONVERSATION[:said] if isinstance(each, Done)}
    assert before.ended == 1
    assert sorted(after.names) == ["a", "b", "c"]
    assert {work.gateway for work in after.works if work.lost} == (
        {"a", "b"} - finished if said else set()
    )


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (GARBAGE, "it sent a line that is not JSON"),
        (MessageError("half a message"), "it sent half a message"),
        (EOFError(), "it was ended by SIGSEGV"),
    ],
)
def test_the_next_worker_is_told_why(
    played: Played, caplog: pytest.LogCaptureFixture, loss: Exception, reason: str
) -> None:
    process = played.working("b", "a")
    process.ending = "it was ended by SIGSEGV"
    played.arrive(loss)
    assert caplog.messages == [f"worker lost pid=1 gateways=a,b: {reason}"]
    assert played.next_worker().works == [Work("b", lost=reason), Work("a", lost=reason)]


def test_the_first_reason_is_kept(played: Played) -> None:
    played.working("hq").ending = "it was ended by SIGSEGV"
    played.lose()
    played.next_worker()
    played.arrive(GARBAGE)
    assert [work.lost for work in played.next_worker().works] == ["it was ended by SIGSEGV"]


def test_a_loss_and_new_work_are_merged(played: Played) -> None:
    process = played.working("hq")
    played.workers.give(Work("hq", look_now=True))
    played.lose(process)
    assert played.next_worker().works == [Work("hq", look_now=True, lost=process.ending)]


def test_a_worker_that_leaves_unasked_is_lost(played: Played) -> None:
    process = played.working("hq")
    played.arrive(Left({}), EOFError())
    assert played.reasons == ["it has ended"]
    assert played.next_worker().works == [Work("hq", lost=process.ending)]


def test_a_gateway_that_was_only_described_has_not_failed(played: Played) -> None:
    played.workers.give(Work("seen", attend=False))
    process = played.working("hq")
    played.lose(process)
    again = {work.gateway: work for work in played.next_worker().works}
    assert again["hq"].lost
    assert again["seen"] == Work("seen", attend=False)


def test_a_worker_that_leaves_with_work_in_hand_is_lost(played: Played) -> None:
    process = played.working("hq")
    played.adopt()
    played.arrive(Left({}), EOFError(), at=process)
    assert played.process.works == [Work("hq", lost=process.ending)]
    assert not played.workers.interrupted


def test_a_pass_that_takes_too_long_shows_where_it_hangs(played: Played) -> None:
    process = played.working("slow", "slower")
    played.wait(LIMITS.longest_pass / 2)
    played.give("quick")
    played.wait(LIMITS.longest_pass / 2)
    assert (process.aborted, process.ended) == (1, 0)
    assert played.workers.seconds() == ABORT_SECONDS
    played.wait(ABORT_SECONDS)
    assert (process.aborted, process.ended) == (1, 1)
    reason = "the pass over slow, slower hangs"
    assert played.reasons == [reason]
    assert played.next_worker().works == [
        Work("slow", lost=reason),
        Work("slower", lost=reason),
        Work("quick", lost=reason),
    ]


def test_a_worker_that_ends_when_it_hangs_is_lost_for_that_reason(played: Played) -> None:
    process = played.working("hq")
    process.ending = "it was ended by SIGABRT"
    played.wait(LIMITS.longest_pass)
    played.lose()
    assert process.ended == 1
    assert played.next_worker().works == [Work("hq", lost="the pass over hq hangs")]


def test_a_worker_that_does_not_start_is_replaced(played: Played) -> None:
    played.give("hq")
    process = played.process
    assert played.workers.seconds() == START_SECONDS
    played.wait_for_workers()
    played.wait_for_workers()
    assert (process.aborted, process.ended) == (1, 1)
    assert played.reasons == ["it did not start within 120 s"]
    assert played.next_worker().works == [Work("hq")]


def test_a_worker_that_does_not_read_the_configuration_is_replaced(played: Played) -> None:
    process = PlayedProcess()
    played.processes.append(process)
    played.workers.begin_loading(process)
    played.wait(START_SECONDS)
    played.wait(ABORT_SECONDS)
    assert (process.aborted, process.ended) == (1, 1)
    assert played.reasons == ["it did not start within 120 s"]


def test_a_busy_worker_that_needs_too_much_memory_is_killed(played: Played) -> None:
    process = played.working("hq")
    process.resident = LIMITS.memory
    played.wait_for_workers()
    assert not process.ended
    process.resident = LIMITS.memory + 1
    assert played.workers.seconds() == MEMORY_INTERVAL
    played.wait_for_workers()
    assert (process.aborted, process.ended) == (0, 1)
    reason = "it needs 1024 MiB (worker.memory_limit)"
    assert played.next_worker().works == [Work("hq", lost=reason)]


# ---------------------------------------------------------------------- starts


def test_the_pause_before_a_start_doubles_up_to_a_limit(played: Played) -> None:
    played.give("hq")
    pauses = []
    for _ in range(12):
        played.lose()
        pause = played.workers.seconds()
        assert pause is not None
        pauses.append(pause)
        played.wait(pause / 2)
        assert played.process.ended
        played.wait(pause / 2)
        assert not played.process.ended
    assert pauses == [min(FIRST_PAUSE * 2**number, LONGEST_PAUSE) for number in range(12)]


def test_opening_does_not_shorten_the_pause_and_finished_work_does(played: Played) -> None:
    played.working("hq")
    for pause in (1.0, 2.0, 4.0):
        played.lose()
        assert played.workers.seconds() == pause
        played.next_worker()
    played.finish(played.process, "hq")  # the loss is counted, which is no success
    played.give("hq")
    played.lose()
    assert played.workers.seconds() == 8.0
    played.next_worker()
    played.finish(played.process, "hq")
    played.give("hq")
    played.finish(played.process, "hq")
    played.give("hq")
    played.lose()
    assert played.workers.seconds() == 1.0


def test_an_owner_that_gives_work_when_a_worker_is_lost_does_not_shorten_the_pause() -> None:
    class Eager(Played):
        def gone(self, worker: Worker, reason: str) -> None:
            super().gone(worker, reason)
            self.give("paris")

    played = Eager()
    played.working("hq")
    played.lose()
    assert len(played.processes) == 1
    assert played.workers.seconds() == 1.0


def test_work_on_gateways_that_are_not_configured_any_more_is_forgotten(played: Played) -> None:
    played.give("hq", "paris")
    played.workers.keep(["hq"])
    played.arrive(Opened({}))
    assert played.workers.in_hand == {"hq"}


def test_a_worker_that_cannot_work_is_replaced(played: Played) -> None:
    played.working("hq")
    (worker,) = played.workers.all
    played.workers.reject(worker, "the user cannot be changed")
    assert worker not in played.workers.all
    assert played.workers.seconds() == 1.0


def test_new_work_does_not_shorten_the_pause(played: Played) -> None:
    played.give("hq")
    played.lose()
    played.give("hq", "other")
    assert played.starts == 1


def test_a_worker_that_cannot_be_started_is_tried_again_with_the_same_pauses(
    played: Played, caplog: pytest.LogCaptureFixture
) -> None:
    played.refused = OSError(11, "Resource temporarily unavailable")
    played.give("hq")
    for pause in (1.0, 2.0, 4.0):
        assert played.workers.seconds() == pause
        played.wait_for_workers()
    assert played.starts == 4
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    assert set(caplog.messages) == {
        "no worker can be started error=[Errno 11] Resource temporarily unavailable"
    }
    played.refused = None
    assert played.next_worker().works == [Work("hq")]


# ---------------------------------------------------------------------- reloads


def test_a_gateway_in_the_hands_of_the_old_worker_waits_for_it(played: Played) -> None:
    before = played.working("a", "b")
    after = played.adopt()
    assert before.farewells == [Leave()]
    played.give("a", "c")
    assert after.names == ["c"]
    played.finish(before, "b")
    assert after.names == ["c"]
    played.finish(before, "a")
    assert after.names == ["c", "a"]
    played.arrive(Left({}), EOFError(), at=before)
    assert (before.ended, played.reasons) == (1, [""])


def test_only_the_worker_of_the_configuration_in_force_takes_work(played: Played) -> None:
    before = played.worker(played.working("a"))
    after = played.worker(played.adopt())
    assert not played.workers.takes_work(before)
    assert played.workers.takes_work(after)
    assert played.workers.all == [after, before]


def test_a_configuration_is_adopted_with_its_limits(played: Played) -> None:
    played.adopt(type(LIMITS)("/state", ["hq"], longest_pass=60.0, idle=5.0, memory=1))
    assert played.workers.seconds() == 5.0
    played.give("hq")
    played.wait(60.0)
    assert played.process.aborted == 1


def test_an_old_worker_may_finish_what_it_has(played: Played) -> None:
    before = played.working("hq")
    played.adopt()
    played.wait(LEAVE_SECONDS * 2)
    assert not before.ended
    played.wait(LIMITS.longest_pass)
    assert before.aborted == 1


def test_discarding_a_worker_in_the_middle_of_its_messages_ends_it(played: Played) -> None:
    class Discarding(Played):
        def received(self, worker: Worker, message: Message) -> None:
            super().received(worker, message)
            if isinstance(message, Left):
                self.workers.discard(worker)

    played = Discarding()
    process = played.working("hq")
    played.arrive(Done("hq"), Left({}), Step("hq", "order", ""), GARBAGE)
    assert (process.ended, played.reasons) == (1, [""])
    assert played.received_messages == [Opened({}), Done("hq"), Left({})]


# ---------------------------------------------------------------------- unsaved state


def test_state_that_a_worker_could_not_write_is_given_to_the_next(played: Played) -> None:
    process = played.working("hq")
    played.finish(process, "hq")
    played.wait(LIMITS.idle)
    played.arrive(Left({"hq": ["a state"]}), EOFError())
    played.give("hq")
    assert played.process.sent == [Resume(), Open({"hq": ["a state"]})]


def test_state_that_was_written_since_is_not_given_again(played: Played) -> None:
    played.workers.unsaved = {"hq": ["a state"]}
    process = played.working("hq")
    played.finish(process, "hq")
    played.wait(LIMITS.idle)
    played.arrive(Left({}), EOFError())
    assert played.workers.unsaved == {}


def test_state_of_an_old_worker_is_given_to_the_one_at_work(played: Played) -> None:
    before = played.working("hq")
    after = played.adopt()
    played.finish(before, "hq")
    played.arrive(Left({"hq": ["a state"]}), EOFError(), at=before)
    assert after.sent[-1] == Retain({"hq": ["a state"]})
    assert played.workers.unsaved == {"hq": ["a state"]}


def test_state_of_an_old_worker_comes_before_waiting_work(played: Played) -> None:
    before = played.working("hq")
    after = played.adopt()
    played.give("hq")
    played.arrive(Done("hq"), Left({"hq": ["a state"]}), EOFError(), at=before)
    assert after.sent == [Retain({"hq": ["a state"]}), Work("hq")]


def test_unsaved_state_outlives_a_lost_worker(played: Played) -> None:
    played.workers.unsaved = {"hq": ["a state"]}
    played.working("hq")
    played.lose()
    assert Open({"hq": ["a state"]}) in played.next_worker().sent


# ---------------------------------------------------------------------- the end


def test_an_interrupt_reaches_every_worker_and_starts_none(played: Played) -> None:
    before = played.working("a", "b")
    after = played.adopt()
    played.give("b", "c")
    played.workers.interrupt()
    assert before.farewells[-1] == after.farewells[-1] == Leave(now=True)
    played.arrive(Left({}), EOFError(), at=before)
    played.arrive(Done("c"), Left({}), EOFError(), at=after)
    assert played.workers.interrupted == {"a", "b"}
    assert not played.workers.all
    played.give("d")
    played.workers.check()
    assert played.starts == 1


def test_after_an_interrupt_a_lost_worker_is_not_replaced(played: Played) -> None:
    played.working("hq")
    played.workers.interrupt()
    played.lose()
    played.wait(LONGEST_PAUSE)
    assert played.starts == 1
    assert played.workers.seconds() is None


def test_a_lost_worker_is_killed_though_its_owner_gives_up() -> None:
    class GivingUp(Played):
        def gone(self, worker: Worker, reason: str) -> None:
            super().gone(worker, reason)
            raise StateError(reason, fix="start it again")

    played = GivingUp()
    process = played.working("hq")
    with pytest.raises(StateError):
        played.lose()
    assert process.ended == 1


def test_every_worker_is_killed(played: Played) -> None:
    processes = [played.working("hq"), played.adopt()]
    played.workers.kill()
    assert [process.ended for process in processes] == [1, 1]
    assert not played.workers.all
    assert not played.present
