"""The status of a gateway as seen after a pass has ended, with its history."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.fakes.clock import DAY, MINUTE

from gatecert.errors import AuthorityUnreachableError
from gatecert.lifecycle.client_cas import ClientCAs
from gatecert.lifecycle.description import describe
from gatecert.model import ClientAuthentication, OutcomeKind
from gatecert.monitoring.gateway_values import gateway_values
from gatecert.report.gateway_status import Condition

if TYPE_CHECKING:
    from tests.fakes.world import World

    from gatecert.lifecycle.gateway_pass import Pass
    from gatecert.report.gateway_status import GatewayStatus


def watched(world: World) -> list[GatewayStatus]:
    """Have each pass described, as a worker does; return the list that gets the statuses."""
    seen: list[GatewayStatus] = []

    def note(current: Pass) -> None:
        seen.append(describe(current, ClientCAs(), world.clock()))

    world.pipeline = replace(world.new_pipeline(), seen=note)
    return seen


def test_a_pass_is_seen_as_it_has_ended(world: World) -> None:
    seen = watched(world)
    outcome = world.attend()
    (status,) = seen
    assert outcome.kind is OutcomeKind.ENROLLED
    assert status.state is Condition.UNPROVEN
    assert status.authority == "played"
    assert status.points_here is True
    assert [(each.kind, each.detail) for each in status.history] == [
        (OutcomeKind.ENROLLED, outcome.detail)
    ]


def test_failures_in_a_row_are_one_entry_that_a_restart_keeps(world: World) -> None:
    world.authority.trouble = AuthorityUnreachableError("no answer", fix="wait")
    for _ in range(2):
        world.attend()
        world.later(10 * MINUTE)
    seen = watched(world)  # as after a restart
    world.attend()
    world.authority.trouble = None
    world.later(600 * MINUTE)
    world.attend()
    failing, enrolled = seen
    assert failing.failures == failing.history[0].times == 3
    assert [each.kind for each in enrolled.history] == [OutcomeKind.ENROLLED, OutcomeKind.FAILED]
    assert enrolled.history[1] == failing.history[0]


def test_an_idle_pass_is_seen_and_adds_nothing(world: World) -> None:
    world.attend()
    seen = watched(world)
    assert world.attend().kind is OutcomeKind.IDLE
    (status,) = seen
    assert [each.kind for each in status.history] == [OutcomeKind.ENROLLED]


def test_what_had_failed_is_seen_in_order_again(world: World) -> None:
    world.target = replace(world.target, client_authentication=ClientAuthentication())
    world.attend()
    seen = watched(world)
    path = world.current.client_cas.files.path
    bundle = path.read_text()
    path.write_text("garbage")
    assert world.attend().kind is OutcomeKind.FAILED
    assert gateway_values(seen[-1]).last_attempt_success is False
    path.write_text(bundle)
    for _ in range(2):
        world.later(10 * MINUTE)
        assert world.attend().kind is OutcomeKind.IDLE
        assert gateway_values(seen[-1]).last_attempt_success is True
        assert seen[-1].last_error is None
        kinds = [each.kind for each in seen[-1].history]
        assert kinds[:2] == [OutcomeKind.IDLE, OutcomeKind.FAILED]


def test_a_failure_that_is_to_be_repeated_stays(world: World) -> None:
    world.attend()
    world.later(80 * DAY)
    world.authority.trouble = AuthorityUnreachableError("no answer", fix="wait")
    seen = watched(world)
    assert world.attend().kind is OutcomeKind.FAILED
    assert world.attend().kind is OutcomeKind.IDLE
    assert gateway_values(seen[-1]).last_attempt_success is False
    assert seen[-1].history == seen[0].history


def test_a_command_that_does_nothing_ends_no_failure(world: World) -> None:
    world.attend()
    world.pipeline.count_loss(world.target, "it hangs")
    current = world.current
    current.finish(current.outcome(OutcomeKind.IDLE, "it is imported already"))
    assert world.store.state("vpn").host.history[0].kind is OutcomeKind.FAILED


def test_a_lost_worker_is_seen(world: World) -> None:
    world.attend()
    seen = watched(world)
    world.pipeline.count_loss(world.target, "it was ended by SIGKILL")
    (status,) = seen
    assert status.last_error is not None
    assert status.last_error.code == "worker-lost"


def test_what_is_seen_is_what_a_command_reads(world: World) -> None:
    seen = watched(world)
    world.attend()
    assert seen == [describe(world.current, ClientCAs(), world.clock())]
