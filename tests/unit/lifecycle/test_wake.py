"""Passes at the named instants do everything: any pass between two of them does nothing.

A worker may end after each pass, so a new pipeline is made for each, and for those between.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, HOUR, MINUTE, START
from tests.fakes.pki import Pki
from tests.fakes.resolver import ELSEWHERE, HERE
from tests.fakes.users_office import Office as UsersOffice
from tests.fakes.world import Obstacle, World

from gatecert.certificate.upload import Upload
from gatecert.doctor import codes
from gatecert.errors import (
    AuthorityUnreachableError,
    RateLimitBudgetError,
    RateLimitedError,
)
from gatecert.model import ClientAuthentication, Mode
from gatecert.resolve.lookup import LookupStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tests.fakes.world import Disk

    from gatecert.lifecycle.pipeline import Pipeline


SECOND = timedelta(seconds=1)
SHORTEST_TIMER = timedelta(milliseconds=200)
FEW_MINUTES = 3
MOST_PASSES = 3000


@dataclass
class Story:
    """Events of a gateway's life, in order; each takes effect with the pass that follows it.

    Attributes:
        one_worker: Whether a worker lasts, which alone knows which warnings it looked for.
    """

    world: World
    events: list[tuple[timedelta, Callable[[], object]]]
    length: timedelta
    one_worker: bool = False

    def tell(self, traces: Callable[[], object]) -> int:
        """Run passes at the instants that they name; return how many."""
        world, end, number = self.world, START + self.length, 0
        while world.clock() < end:
            while self.events and START + self.events[0][0] <= world.clock():
                self.events.pop(0)[1]()
            outcome = world.attend()
            number += 1
            assert number < MOST_PASSES
            assert outcome.wake_at is not None
            wake = max(outcome.wake_at, world.clock() + SHORTEST_TIMER)
            for at in between(world.clock(), min(outcome.wake_at, end)):
                world.clock.time = at
                before = traces()
                if not self.one_worker:
                    world.pipeline = fresh(world)
                world.attend()
                assert traces() == before, f"something is due at {at}, before {wake}"
            world.clock.time = wake
        return number


def fresh(world: World) -> Pipeline:
    """As in a new worker, with the same things in the way."""
    return replace(world.new_pipeline(), obstacles=world.pipeline.obstacles)


def between(start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield each minute of a short time, and some instants of a long one."""
    minutes = (end - start) // MINUTE
    chosen = range(1, minutes + 1) if minutes <= FEW_MINUTES else ()
    instants = {start + number * MINUTE for number in chosen}
    instants |= {start + (end - start) * share for share in (0.001, 0.5)}
    instants.add(end - SECOND)
    yield from sorted(at for at in instants if start < at < end)


@pytest.fixture
def traces(world: World, caplog: pytest.LogCaptureFixture) -> Callable[[], object]:
    """Everything that a pass can leave behind or ask for."""
    caplog.set_level(logging.INFO)
    root = world.directory / "state" / "gateways"

    def found() -> object:
        files = {
            path.relative_to(root): path.stat().st_mtime_ns
            for path in root.rglob("*.*")
            if path.is_file()
        }
        asked = world.authority.orders, world.authority.asked_when, world.names.asked
        runs = world.directory / "runs"
        return files, len(caplog.records), asked, runs.read_text() if runs.exists() else ""

    return found


def calm(world: World) -> Story:
    return Story(world, [], 2 * DAY)


def renewals(world: World) -> Story:
    world.authority.lifetime = DAY
    return Story(world, [], 2 * DAY)


def an_unreachable_authority(world: World) -> Story:
    trouble = AuthorityUnreachableError("no answer")
    begin = (HOUR, lambda: setattr(world.authority, "trouble", trouble))
    world.authority.lifetime = DAY
    recover = (2 * DAY, lambda: setattr(world.authority, "trouble", None))
    return Story(world, [begin, recover], 3 * DAY)


def a_rate_limit(world: World) -> Story:
    world.authority.trouble = RateLimitedError("rateLimited", "later", retry_after=START + HOUR)
    budget = RateLimitBudgetError("no more", until=START + 5 * HOUR)
    return Story(
        world,
        [
            (HOUR, lambda: setattr(world.authority, "trouble", budget)),
            (5 * HOUR, lambda: setattr(world.authority, "trouble", None)),
        ],
        DAY,
    )


def a_name_elsewhere(world: World) -> Story:
    world.names.address = ELSEWHERE
    return Story(
        world,
        [
            (10 * MINUTE, lambda: setattr(world.names, "address", HERE)),
            (DAY, lambda: setattr(world.names, "ending", LookupStatus.TIMEOUT)),
            (DAY + HOUR, lambda: setattr(world.names, "ending", LookupStatus.ADDRESSES)),
        ],
        2 * DAY,
    )


def an_obstacle(world: World) -> Story:
    obstacle = world.obstruct(Obstacle(codes.ADDRESS_IN_USE))
    return Story(world, [(HOUR, lambda: setattr(obstacle, "code", None))], 3 * HOUR)


def failing_reloads(world: World) -> Story:
    failing = world.script(f"echo r >> {world.directory / 'runs'}; false")
    world.plan(reload=failing)
    return Story(world, [(3 * HOUR, lambda: world.script("true"))], 6 * HOUR)


def a_watched_server(world: World) -> Story:
    """It is asked every hour, serves something else for a while, and is right again."""
    wrong, runs = world.directory / "wrong", world.directory / "runs"
    path = world.directory / "verify"
    path.write_text(f"#!/bin/sh\necho v >> {runs}\ntest ! -e {wrong}\n")
    path.chmod(0o755)
    world.plan(verify_command=(str(path),), watch=HOUR, verify_timeout=SECOND / 2)
    return Story(world, [(5 * HOUR, wrong.touch), (9 * HOUR, wrong.unlink)], 14 * HOUR)


def an_imported_certificate(world: World) -> Story:
    """It ends after 40 days, with all the warnings before."""
    world.attend()

    def becomes_custom() -> None:
        world.target = replace(world.target, mode=Mode.CUSTOM)

    return Story(world, [(MINUTE, becomes_custom)], 95 * DAY)


def a_better_version_by_time_alone(world: World) -> Story:
    """The newest certificate is valid for less long than the one before it."""
    world.attend()
    world.authority.lifetime = 2 * DAY
    world.attend(force=True)
    world.authority.trouble = AuthorityUnreachableError("no answer")
    return Story(world, [], 3 * DAY)


def client_cas(world: World) -> Story:
    """Their warnings come by thresholds, and a server that does not answer is asked again."""
    office = UsersOffice(Pki())
    root = office.root("ends", end=START + 31 * DAY)
    world.target = replace(world.target, client_authentication=ClientAuthentication())
    upload = Upload("the file", "ca.pem", root.pem)
    world.pipeline.client_cas.add(world.current, upload)
    return Story(world, [], 2 * DAY, one_worker=True)


STORIES = (
    calm,
    renewals,
    an_unreachable_authority,
    a_rate_limit,
    a_name_elsewhere,
    an_obstacle,
    failing_reloads,
    a_watched_server,
    an_imported_certificate,
    a_better_version_by_time_alone,
    client_cas,
)


@pytest.mark.parametrize("story", STORIES, ids=[story.__name__ for story in STORIES])
def test_nothing_is_due_between_the_named_instants(
    world: World, traces: Callable[[], object], story: Callable[[World], Story]
) -> None:
    told = story(world)
    days = told.length / DAY
    assert told.tell(traces) <= 100 + 100 * days


def test_state_that_cannot_be_saved_is_saved_soon(world: World, disk: Disk) -> None:
    world.attend()
    world.later(HOUR)
    disk.full = True
    world.names.address = ELSEWHERE
    outcome = world.attend()
    assert world.pipeline.states.is_unsaved("vpn")
    assert outcome.wake_at is not None
    assert outcome.wake_at <= world.clock() + 30 * SECOND
    disk.full = False
    world.clock.time = outcome.wake_at
    world.attend()
    assert not world.pipeline.states.is_unsaved("vpn")


def test_what_an_error_left_undone_is_done_a_minute_later(world: World) -> None:
    world.attend()
    world.later(HOUR)
    world.names.look_up = broken  # type: ignore[method-assign] # a programming error
    outcome = world.attend()
    assert outcome.failed
    assert outcome.wake_at == world.clock() + MINUTE


def test_client_cas_that_cannot_be_read_are_tried_again_each_minute(world: World) -> None:
    world.target = replace(world.target, client_authentication=ClientAuthentication())
    world.attend()
    world.current.client_cas.files.path.write_text("garbage")
    outcome = world.attend()
    assert outcome.wake_at == world.clock() + MINUTE


def test_a_gateway_gets_a_pass_each_day_in_any_case(world: World) -> None:
    world.target = replace(world.target, mode=Mode.CUSTOM)
    world.attend()
    outcome = world.attend()
    assert outcome.wake_at is not None
    assert outcome.wake_at <= world.clock() + DAY


def broken(names: object) -> tuple[()]:
    raise RuntimeError(f"no look-up of {names}")
