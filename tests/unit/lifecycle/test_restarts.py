"""Killed and restarted every five seconds for a simulated hour: never over any limit.

The store is real, the authority counts what reaches it. A life of gatecert ends at a random point:
before or after a request, or between two steps of a write. What else could hold it back from
trying again (the pauses after failures, in ``state.json``) is thrown away at every restart, so that
the budget alone is proven.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.fakes.acme_server import DIRECTORY_URL, FakeAuthority
from tests.fakes.pki import dns
from tests.fakes.resolver import HERE, Names
from tests.fakes.root_authority import RootAuthority
from tests.fakes.solvers import FakeSolver

from gatecert.acme.client import Client
from gatecert.acme.issuer import Issuer
from gatecert.config.schema.authority import AuthoritySettings
from gatecert.lifecycle.gateway_pass import Occasion
from gatecert.lifecycle.pipeline import Pipeline
from gatecert.model import Target
from gatecert.store import durable
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatecert.deadline import Deadline
    from gatecert.http.fetcher import Response

START = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
HOUR, LIFE = timedelta(hours=1), timedelta(seconds=5)
LIVES = HOUR // LIFE
NAME = "vpn.example.com"


class KilledError(BaseException):
    """SIGKILL, as far as a thread can feel it."""


@dataclass
class World:
    """One gateway, and an authority that counts by a clock of its own.

    Attributes:
        time: The true time.
        error: How wrong gatecert's clock is.
        deadly: Whether lives end at random points.
        seen: What the authority counted: kind and instant.
    """

    directory: Path
    authority: FakeAuthority
    chance: random.Random
    time: datetime = START
    error: timedelta = timedelta(0)
    deadly: bool = True
    seen: list[tuple[str, datetime]] = field(default_factory=list)
    killed: int = 0

    @property
    def store(self) -> FileStore:
        return FileStore(self.directory / "state")

    def now(self) -> datetime:
        return self.time + self.error

    def send(
        self, method: str, url: str, *, deadline: Deadline, body: bytes | None = None
    ) -> Response:
        self.die_perhaps()
        answer = self.authority.send(method, url, deadline=deadline, body=body)
        kind = url.split("/")[3]
        if method == "POST" and answer.status < 300:
            refused = kind == "challenge" and self.authority.refused
            created = kind == "new-account" and answer.status == 201
            if refused or created or kind in {"new-order", "finalize"}:
                self.seen.append((kind, self.time))
        self.die_perhaps()
        return answer

    def die_perhaps(self) -> None:
        if self.deadly and self.chance.random() < 0.03:
            self.killed += 1
            raise KilledError

    def live(self, **occasion: bool) -> None:
        """One life: everything in the process is new."""
        store = self.store
        settings = AuthoritySettings(
            name="acme", directory_url=DIRECTORY_URL, terms_of_service_agreed=True
        )
        client = Client("acme", DIRECTORY_URL, transport=self, now=self.now)
        issuer = Issuer(settings, store, {"http-01": FakeSolver()}, client=client)
        pipeline = Pipeline(
            store=store,
            resolver=Names(),
            authorities={"acme": issuer},
            progress=lambda *_: None,
            now=self.now,
        )
        target = Target(
            name="vpn",
            identifiers=dns(NAME),
            display_name=NAME,
            addresses=(HERE,),
            authorities=("acme",),
        )
        durable.on_step = lambda *_: self.die_perhaps()
        try:
            pipeline.attend(target, Occasion(**occasion))
        except KilledError:
            pass
        finally:
            durable.on_step = lambda *_: None

    def forget_failures(self) -> None:
        self.deadly, before = False, self.deadly
        state = self.store.state("vpn")
        cleared = replace(
            state.enrolment, failures=0, failed_at=None, next_attempt=None, troubles=()
        )
        self.store.save_state("vpn", replace(state, enrolment=cleared))
        self.deadly = before

    def busiest_hour(self, kind: str) -> int:
        """The most that the authority saw of something in any hour."""
        instants = [at for seen, at in self.seen if seen == kind]
        return max(
            (sum(first <= at < first + HOUR for at in instants) for first in instants), default=0
        )


@pytest.fixture
def on_step() -> Iterator[None]:
    before: Callable[[str, Path], None] = durable.on_step
    yield
    durable.on_step = before


@pytest.fixture
def world(tmp_path: Path, root: RootAuthority, on_step: None) -> World:  # noqa: ARG001 - put back
    authority = FakeAuthority(root)
    authority.renewal_info = False
    return World(tmp_path, authority, random.Random(20))


@pytest.fixture(scope="session")
def root() -> RootAuthority:
    return RootAuthority()


def test_never_more_failed_validations_than_allowed(world: World) -> None:
    world.authority.refused[NAME] = {"detail": "nobody there"}
    for _ in range(LIVES):
        world.live()
        world.forget_failures()
        world.time += LIFE
    assert world.killed > 10
    assert 2 <= world.busiest_hour("challenge") <= 5
    assert world.busiest_hour("new-account") == 1


def test_never_more_certificates_for_the_same_names_than_allowed(world: World) -> None:
    for _ in range(LIVES):
        world.live(force=True)
        world.forget_failures()
        world.time += LIFE
    counted = Counter(kind for kind, _ in world.seen)
    assert 2 <= counted["finalize"] <= 5
    assert counted["new-order"] <= 300


def test_nor_under_a_clock_that_is_set_back(world: World) -> None:
    world.authority.refused[NAME] = {"detail": "nobody there"}
    for number in range(LIVES // 2):
        world.error = timedelta(days=-400) if number > 60 else timedelta(0)
        world.live()
        world.forget_failures()
        world.time += LIFE
    assert 2 <= world.busiest_hour("challenge") <= 5


def test_afterwards_it_goes_on(world: World) -> None:
    world.authority.refused[NAME] = {"detail": "nobody there"}
    for _ in range(20):
        world.live()
        world.forget_failures()
        world.time += LIFE
    world.authority.refused.clear()
    world.deadly = False
    world.time += HOUR
    world.live()
    (newest, *_) = world.store.versions("vpn")
    assert newest.authority == "acme"
