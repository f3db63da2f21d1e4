"""Failures are recorded, reported and retried in time; the served certificate stays."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, HOUR, MINUTE, START
from tests.fakes.resolver import HERE
from tests.fakes.world import HOSTNAME, Disk, World

from gatecert.errors import (
    AuthorityUnreachableError,
    ChallengeError,
    ChallengeFailedError,
    FailedAttempt,
    InterruptedOrderError,
    LockTimeoutError,
    RateLimitedError,
    StorageError,
    UserActionRequiredError,
)
from gatecert.model import Mode, OutcomeKind, RenewalPolicy
from gatecert.store import durable
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_failures_hold_the_next_attempt_back_across_restarts(world: World) -> None:
    world.authority.trouble = AuthorityUnreachableError("no answer", fix="wait")
    outcome = world.attend()
    assert (outcome.kind, outcome.code, outcome.fix) == (
        OutcomeKind.FAILED,
        "authority-unreachable",
        "wait",
    )
    assert outcome.next_at is not None
    assert 0.8 * MINUTE <= outcome.next_at - START <= MINUTE
    world.pipeline = world.new_pipeline()
    asked = world.names.asked
    assert world.attend().kind is OutcomeKind.IDLE
    assert world.names.asked == asked
    world.later(2 * MINUTE)
    second = world.attend()
    assert second.next_at is not None
    assert second.next_at - world.clock() >= 8 * MINUTE
    assert world.store.state("vpn").enrolment.failures == 2
    assert world.serves_bootstrap


def test_where_a_person_has_to_act_attempts_stop_for_a_day(world: World) -> None:
    world.authority.trouble = UserActionRequiredError(
        "rateLimited", "paused", fix="visit https://portal.example.org"
    )
    outcome = world.attend()
    assert outcome.next_at is not None
    assert outcome.next_at - START == DAY
    world.authority.trouble = None
    world.later(DAY - MINUTE)
    assert world.attend().kind is OutcomeKind.IDLE
    world.later(2 * MINUTE)
    assert world.attend().kind is OutcomeKind.ENROLLED


def test_success_clears_the_failures(world: World) -> None:
    world.authority.trouble = AuthorityUnreachableError("no answer")
    world.attend()
    world.authority.trouble = None
    world.later(2 * MINUTE)
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert world.store.state("vpn").enrolment.failures == 0


def test_a_failed_authority_is_tried_last_until_one_issues(
    world: World,
) -> None:
    world.target = replace(world.target, challenges=("http-01", "tls-alpn-01"))
    refused = ChallengeFailedError("connection", "validation failed")
    refused.attempts = (FailedAttempt(HOSTNAME, "http-01", "connection refused"),)
    world.authority.trouble = refused
    world.attend()
    assert [choice.kinds for choice in world.authority.choices] == [("http-01", "tls-alpn-01")]

    world.pipeline = world.new_pipeline()
    world.authority.trouble = None
    world.later(2 * MINUTE)
    assert world.attend().kind is OutcomeKind.ENROLLED
    (choice,) = world.authority.choices
    assert choice.kinds == ("tls-alpn-01", "http-01")
    assert "connection refused" in choice.reason

    world.attend(force=True)
    assert [choice.kinds for choice in world.authority.choices] == [("http-01", "tls-alpn-01")]


def test_a_challenge_that_cannot_be_presented_is_remembered_too(world: World) -> None:
    error = ChallengeError("port 80 is taken")
    error.attempts = (FailedAttempt(HOSTNAME, "http-01", error.message),)
    world.authority.trouble = error
    world.attend()
    (failure,) = world.store.state("vpn").enrolment.challenge_failures
    assert (failure.name, failure.kind, failure.at) == (HOSTNAME, "http-01", START)


def test_a_name_that_comes_to_point_here_is_tried_again_at_once(world: World) -> None:
    world.target = replace(world.target, challenges=("http-01", "dns-01"))
    world.names.address = "203.0.113.66"
    error = ChallengeError("zone refused")
    error.attempts = (FailedAttempt(HOSTNAME, "dns-01", error.message),)
    world.authority.trouble = error
    for _ in range(4):
        world.attend()
        world.later(2 * HOUR)
    assert [choice.kinds for choice in world.authority.choices] == [("dns-01",)]
    assert world.attend().kind is not OutcomeKind.ENROLLED

    world.names.address = HERE
    world.authority.trouble = None
    world.later(HOUR)
    world.attend()

    assert world.attend().kind is OutcomeKind.ENROLLED
    (choice,) = world.authority.choices
    assert choice.kinds == ("http-01", "dns-01")


def test_a_rate_limit_is_waited_for(world: World) -> None:
    until = START + 3 * HOUR
    world.authority.trouble = RateLimitedError("rateLimited", "slow down", retry_after=until)
    assert world.attend().next_at == until


def test_a_failed_renewal_keeps_the_served_certificate(world: World) -> None:
    world.attend()
    first = world.live
    world.later(61 * DAY)
    world.authority.trouble = AuthorityUnreachableError("no answer")
    assert world.attend().failed
    assert world.live == first


def test_a_bug_is_one_failure_and_not_the_end(world: World) -> None:
    world.authority.trouble = ZeroDivisionError("a bug")
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "error")
    assert "ZeroDivisionError" in outcome.detail


def test_no_authority_at_all_is_said(world: World) -> None:
    world.target = replace(world.target, authorities=())
    outcome = world.attend()
    assert "no CA to enrol with" in outcome.detail


def test_an_interrupted_order_is_resumed_and_no_failure(world: World) -> None:
    world.authority.trouble = InterruptedOrderError("leaving")
    assert world.attend().kind is OutcomeKind.WAITING
    assert world.store.state("vpn").enrolment.failures == 0
    world.authority.trouble = None
    world.pipeline = world.new_pipeline()
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert world.authority.orders == 1


def test_a_certificate_that_reached_the_disk_before_a_crash_settles_its_order(
    world: World,
) -> None:
    world.keep_unsettled()
    outcome = world.attend()
    assert outcome.kind is OutcomeKind.DEPLOYED
    assert not world.serves_bootstrap
    assert world.store.state("vpn").enrolment.order is None
    assert world.authority.orders == 1


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From then on ``state.json`` cannot be read, although it is there."""

    def refuse(name: str, path: Path) -> None:
        if (name, path.name) == ("read", "state.json"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    return lambda: monkeypatch.setattr(durable, "on_step", refuse)


def test_unreadable_state_is_not_treated_as_missing(
    world: World, unreadable: Callable[[], None]
) -> None:
    world.authority.trouble = InterruptedOrderError("leaving")
    world.attend()
    path = world.store.gateway_directory("vpn") / "state.json"
    before = path.read_bytes()
    world.pipeline = world.new_pipeline()
    unreadable()
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "state-unwritable")
    assert outcome.wake_at == START + timedelta(seconds=30)
    assert path.read_bytes() == before
    durable.on_step = lambda *_: None
    world.authority.trouble = None
    world.later(timedelta(seconds=30))
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert world.authority.orders == 1


def test_a_failure_counts_though_the_disk_cannot_be_read_just_then(
    world: World, unreadable: Callable[[], None]
) -> None:
    world.authority.trouble = AuthorityUnreachableError("no answer")
    world.authority.during_order = unreadable
    assert world.attend().failed
    durable.on_step = lambda *_: None
    assert world.store.state("vpn").enrolment.failures == 1


def test_an_order_that_cannot_be_written_down_is_not_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, path: Path) -> None:
        if (name, path.name) == ("replace", "state.json") and world.authority.orders:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    world.pipeline.prepare(world.target)
    monkeypatch.setattr(durable, "on_step", refuse)
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "state-unwritable")
    assert world.store.state("vpn").enrolment.order is None
    durable.on_step = lambda *_: None
    world.later(timedelta(seconds=30))
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert world.authority.orders == 1


def test_a_key_that_a_crash_left_without_its_order_goes(world: World) -> None:
    world.attend()
    request = world.pipeline.ordering.journal(world.current).new_request()
    world.store.add_request("vpn", request)  # and then it was killed
    assert world.store.requests("vpn")
    world.attend()
    assert not world.store.requests("vpn")


@pytest.mark.parametrize(
    "change",
    [
        {"renewal": RenewalPolicy(renewal_info=False), "mode": Mode.CUSTOM},
        {"region": "cn"},
    ],
    ids=["custom", "excluded"],
)
def test_a_revocation_check_that_ended_schedules_no_pass(
    world: World, change: dict[str, object]
) -> None:
    world.attend()
    world.attend()
    world.target = replace(world.target, **change)  # type: ignore[arg-type] # names of fields
    world.later(2 * DAY)
    world.attend()
    outcome = world.attend()
    assert outcome.wake_at is not None
    assert outcome.wake_at > world.clock()


def test_nothing_is_ordered_while_the_state_cannot_be_written(world: World, disk: Disk) -> None:
    world.pipeline.prepare(world.target)
    disk.full = True
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "state-unwritable")
    assert outcome.next_at == START + timedelta(seconds=30)
    assert world.attend().kind is OutcomeKind.IDLE
    assert world.authority.orders == 0
    disk.full = False
    world.later(timedelta(seconds=30))
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert world.store.state("vpn").enrolment.failures == 0


def test_unwritten_state_survives_a_reload_of_the_configuration(world: World, disk: Disk) -> None:
    world.pipeline.prepare(world.target)
    world.authority.trouble = AuthorityUnreachableError("no answer")
    world.authority.during_order = lambda: setattr(disk, "full", True)
    world.attend()
    after = world.new_pipeline()
    after.states.take_over(world.pipeline.states.unsaved_states())
    assert world.store.state("vpn").enrolment.failures == 0
    assert after.states.load("vpn").enrolment.failures == 1
    disk.full = False
    world.pipeline = after
    world.later(MINUTE)
    world.attend()
    assert world.store.state("vpn").enrolment.failures >= 1


def test_unwritten_state_yields_to_a_later_write_by_a_command(world: World, disk: Disk) -> None:
    world.attend()
    world.later(DAY)
    disk.full = True
    daemon = world.pipeline
    world.attend(look_now=True)
    assert "vpn" in daemon.states.unsaved
    disk.full = False

    world.pipeline = world.new_pipeline()  # gatecert enroll --force, and Ctrl-C
    world.authority.trouble = InterruptedOrderError("leaving")
    world.attend(force=True)
    ordered = world.store.state("vpn").enrolment.order
    assert ordered is not None

    world.pipeline = daemon
    world.later(MINUTE)
    world.attend()
    assert not daemon.states.unsaved
    assert world.store.state("vpn").enrolment.order == ordered
    assert world.store.requests("vpn")


def test_an_operator_who_frees_disk_space_need_not_wait(world: World, disk: Disk) -> None:
    disk.full = True
    assert world.attend().code == "state-unwritable"
    assert world.attend(look_now=True).code == "state-unwritable"
    disk.full = False
    assert world.attend().kind is OutcomeKind.IDLE
    assert world.attend(look_now=True).kind is OutcomeKind.ENROLLED


def test_a_version_that_cannot_be_read_back_is_a_failure(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileStore, "versions", lambda *_: ())
    with pytest.raises(StorageError, match="cannot be read back"):
        world.pipeline.prepare(world.target)


def test_somebody_else_at_work_is_not_disturbed(world: World) -> None:
    with (
        world.store.lock_gateway("vpn", "importing a certificate", wait=0),
        pytest.raises(LockTimeoutError, match="importing a certificate"),
    ):
        world.attend()


def test_a_lost_worker_is_a_failure_that_is_waited_out(world: World) -> None:
    world.attend()
    lost = world.pipeline.count_loss(world.target, "it was ended by SIGSEGV")
    assert (lost.kind, lost.code) == (OutcomeKind.FAILED, "worker-lost")
    assert "SIGSEGV" in lost.detail
    state = world.store.state("vpn")
    assert state.enrolment.failures == 1
    assert lost.wake_at is not None
    assert lost.wake_at == state.enrolment.next_attempt
    assert lost.wake_at - world.clock() >= 0.8 * MINUTE
    again = world.pipeline.count_loss(world.target, "it was ended by SIGSEGV")
    assert again.wake_at is not None
    assert again.wake_at - world.clock() >= 8 * MINUTE


def test_a_lost_worker_is_forgotten_by_a_pass_with_nothing_to_do(world: World) -> None:
    world.attend()
    world.pipeline.count_loss(world.target, "it hangs")
    world.later(2 * MINUTE)
    assert world.attend().kind is OutcomeKind.IDLE
    state = world.store.state("vpn")
    assert state.host.outcome is not None
    assert state.host.outcome.kind is OutcomeKind.IDLE
    assert (state.enrolment.failures, state.enrolment.next_attempt) == (0, None)
    assert world.authority.orders == 1
