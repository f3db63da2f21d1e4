"""One daemon's life: the real pipeline, woken as the daemon's timetable would wake it."""

from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from tests.survival.years.authority import NAME, Authority, PlayedIssuer
from tests.survival.years.gateway import PRUNED_AT_ONCE, Gateway, MemoryStore, PlayedDeployer
from tests.survival.years.world import (
    BEGIN,
    CLOCK_IS_RIGHT,
    DAY,
    HOUR,
    MINUTE,
    SPAN,
    Change,
    Happening,
    Killed,
    Trouble,
    World,
    WorldsEvent,
    story,
)

from gatecert import deadline
from gatecert.acme import session
from gatecert.daemon import SHORTEST_PAUSE
from gatecert.doctor.preconditions import Preconditions
from gatecert.errors import ChallengeError, StorageError
from gatecert.lifecycle import pipeline
from gatecert.lifecycle.gateway_pass import Occasion
from gatecert.lifecycle.pipeline import Pipeline
from gatecert.model import Identifier, IdentifierType, OutcomeKind, Target
from gatecert.resolve.caa import CaaPolicy
from gatecert.resolve.lookup import LookupResult, LookupStatus
from gatecert.schedule.due import SHORT_LIFETIME
from gatecert.store.counting_rules import MIN_KEPT_REQUESTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gatecert.challenge.solver import Challenge
    from gatecert.deadline import Deadline

ROUTINE = Occasion()
HERE, ELSEWHERE = "198.51.100.7", "198.51.100.99"
LIFETIMES = (90 * DAY, 45 * DAY, timedelta(hours=160))
SLACK = HOUR  # for what is under way
MOST_PASSES_A_MINUTE = 150
LARGEST_STATE = 20_000  # bytes
MOST_KEPT = MIN_KEPT_REQUESTS + PRUNED_AT_ONCE + 10


@dataclass(frozen=True, slots=True)
class Names:
    """The DNS."""

    world: World
    time_to_live: timedelta

    def look_up(self, names: Sequence[str]) -> tuple[LookupResult, ...]:
        return tuple(self._look_up(name) for name in names)

    def look_up_caa(self, names: Sequence[str]) -> tuple[CaaPolicy, ...]:
        return tuple(CaaPolicy(name) for name in names)

    def _look_up(self, name: str) -> LookupResult:
        if self.world.is_wrong(Trouble.DNS, Trouble.NETWORK):
            self.world.take(timedelta(seconds=self.world.chance.uniform(0, 10)))
            endings = (LookupStatus.SERVER_FAILURE, LookupStatus.TIMEOUT)
            return LookupResult(name, self.world.chance.choice(endings))
        address = ELSEWHERE if self.world.is_wrong(Trouble.ELSEWHERE) else HERE
        return LookupResult(name, LookupStatus.ADDRESSES, (address,), self.time_to_live)


@dataclass(frozen=True, slots=True)
class Solver:
    """Challenges."""

    world: World

    def present(self, challenge: Challenge) -> None:
        assert challenge.token
        self.self_test()

    def self_test(self, names: Sequence[str] = ()) -> tuple[str, ...]:
        if self.world.is_wrong(Trouble.PORT):
            raise ChallengeError("port 80 is taken")
        return tuple(names[:0])

    def wait(self, challenge: Challenge, deadline: Deadline) -> None:
        assert challenge.token
        assert not deadline.interrupted

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        assert challenge.token
        self.world.sleep(min(0.1, seconds))
        return True

    def clean_up(self, challenge: Challenge) -> None:
        assert challenge.token


@dataclass
class Record:
    """Result of a life.

    Attributes:
        faults: What should not have been, each with its instant.
        lapsed: How long an expired certificate was served.
        most: The most of each limited thing that came together, and how much is allowed.
        seconds: Of a processor.
        memory: The most that the process had so far, in MiB.
    """

    seed: int
    lifetime: timedelta = timedelta(0)
    faults: list[str] = field(default_factory=list)
    lapsed: timedelta = timedelta(0)
    lapses: int = 0
    passes: int = 0
    issued: int = 0
    orders: int = 0
    requests: int = 0
    changes: int = 0
    largest_state: int = 0
    outcomes: Counter[OutcomeKind] = field(default_factory=Counter)
    most: dict[str, tuple[int, int]] = field(default_factory=dict)
    seconds: float = 0.0
    memory: float = 0.0
    process: int = 0


def rule(clock: object) -> None:
    """Let deadlines, and the duration of a pass, read another clock than this machine's."""
    for module in (deadline, session, pipeline):
        vars(module)["time"] = clock


class Life:
    """A daemon with one gateway, for as long as ``span``.

    Args:
        seed: Everything follows from it.
        roots: A file with the authority's root.
        span: How long it goes on.
    """

    def __init__(self, seed: int, roots: Path, span: timedelta = SPAN) -> None:
        chance = random.Random(seed)
        self.world = World(chance, story(chance, span))
        self._end = BEGIN + span
        lifetime = chance.choice(LIFETIMES)
        self.authority = Authority(
            self.world,
            lifetime,
            windows=chance.choice(("right", "right", "right", "none", "late")),
            errs=chance.choice(("past", "backwards", "late")),
            asks_again=chance.choice((6 * HOUR, DAY, DAY, DAY)),
        )
        self._names = Names(self.world, chance.choice((HOUR, 4 * HOUR)))
        self._interval = chance.choice((HOUR, 12 * HOUR, DAY, DAY))
        self.target = Target(
            name="vpn",
            identifiers=tuple(
                Identifier(IdentifierType.DNS, name)
                for name in ("vpn.example.com", "two.example.com")[: chance.choice((1, 1, 2))]
            ),
            display_name="vpn.example.com",
            addresses=(HERE,),
            authorities=(NAME,),
        )
        self.store = MemoryStore()
        self.gateway = Gateway(self.store)
        self.record = Record(seed, lifetime, changes=len(self.world.changes))
        self._wake: datetime | None = None
        self._recent: list[datetime] = []
        self._due_share = self._latest_renewal(lifetime)
        self._good: dict[str, datetime] = {}
        # Where no roots are configured, any sound chain is taken, and those of this machine tell.
        self._roots = chance.choice((roots, None))

    @property
    def expects_any_root(self) -> bool:
        """True if any root is accepted, so that only the comparison rejects a worse certificate."""
        return self._roots is None

    def _latest_renewal(self, lifetime: timedelta) -> float:
        """The share of its life that a certificate has left when it is renewed at the latest."""
        by_lifetime = 1 / 2 if lifetime < SHORT_LIFETIME else 1 / 3
        by_windows = {"right": 1 / 3 - 1 / 45, "late": 1 / 12, "none": 1.0}
        wrong = 1 / 12 if any(each.what is Trouble.WINDOWS for each in self.world.changes) else 1.0
        return min(by_lifetime, by_windows[self.authority.windows], wrong)

    def run(self) -> Record:
        """Live."""
        rule(self.world)
        try:
            return self._run()
        finally:
            rule(time)

    def _run(self) -> Record:
        self._start()
        while self.world.time < self._end and len(self.record.faults) < 5:
            self._go_on()
        record = self.record
        record.faults += self.authority.broken
        record.issued, record.orders = self.authority.issued, self.authority.placed
        record.requests = self.authority.requests
        record.most = self.authority.most()
        return record

    # ------------------------------------------------------------------ time goes by

    def _go_on(self) -> None:
        """Until something happens, or the daemon wakes."""
        at = self._wake if self._wake is not None else self._end
        if self.world.next_change is not None:
            at = min(at, self.world.next_change)
        before = self.world.time
        asleep = self.world.is_wrong(Trouble.ASLEEP)
        offset = self.world.offset
        self.world.take(max(timedelta(0), min(at, self._end) - self.world.time), asleep=asleep)
        self._judge(before)
        happened = list(self.world.happened())
        for change in happened:
            self._meet(change)
        if self._wake is None:
            return
        if (
            self.world.offset != offset or self.world.time >= self._wake
        ):  # the kernel tells the daemon that the clock was set
            self._attend()

    def _meet(self, change: Change) -> None:
        troubles = self.world.wrong
        self.store.full = Trouble.DISK in troubles
        self.gateway.stubborn = Trouble.STUBBORN in troubles
        self.gateway.unprovable = Trouble.UNPROVABLE in troubles
        match change.what:
            case Trouble.ASLEEP | Trouble.STOPPED:
                if self.world.is_wrong(Trouble.ASLEEP, Trouble.STOPPED):
                    self._wake = None
                elif change.what is Trouble.ASLEEP:
                    self._wake = self.world.time
                else:
                    self._start()
            case Happening.KILLED:
                self.world.doomed = self.world.chance.randrange(12)
            case Happening.RESTARTED if self._wake is not None:
                self._start()
            case Happening.STATE_LOST:
                self.store.lose_state()
            case Happening.REVOKED if self.gateway.served is not None:
                self.authority.revoked.add(self.gateway.served.summary.certificate_id)
            case Happening.LOOK_NOW if self._wake is not None:
                self._attend(Occasion(look_now=True))

    # ------------------------------------------------------------------ the daemon

    def _start(self) -> None:
        """A new process."""
        if self.world.is_wrong(Trouble.ASLEEP, Trouble.STOPPED):
            self._wake = None
            return
        world = self.world
        cancelled = WorldsEvent(world)
        solvers = {"http-01": Solver(world)}
        issuers = {NAME: PlayedIssuer(self.authority, self._roots, self.store, solvers)}
        self._pipeline = Pipeline(
            store=self.store,
            resolver=self._names,
            authorities=issuers,
            progress=lambda *_: None,
            now=world.now,
            look_interval=self._interval,
            cancelled=cancelled,
            random=world.chance,
            new_deployer=partial(PlayedDeployer, gateway=self.gateway),
            obstacles=Preconditions(issuers, solvers, self._names, cancelled).find,
        )
        with suppress(StorageError):  # the disk is full; the next pass makes up for it
            self._pipeline.prepare(self.target)
        self._attend()

    def _attend(self, occasion: Occasion = ROUTINE) -> None:
        record, world = self.record, self.world
        record.passes += 1
        try:
            outcome = self._pipeline.attend(self.target, occasion)
        except Killed:
            world.take(5 * SHORTEST_PAUSE)
            world.disturb()
            self._wake = world.time  # the service manager starts it again
            self._start()
            return
        record.outcomes[outcome.kind] += 1
        if "unexpected error" in outcome.detail:
            self._fault(outcome.detail)
        assert outcome.wake_at is not None
        wake = outcome.wake_at - world.offset
        self._wake = max(world.time + SHORTEST_PAUSE, wake)
        self._judge_pace()
        self._judge_live()

    # ------------------------------------------------------------------ what has to hold

    def _fault(self, what: str) -> None:
        self.record.faults.append(f"{self.world.time:%Y-%m-%d %H:%M:%S} {what}")

    def _judge(self, before: datetime) -> None:
        """See that what is served is as good as it could be, after nothing happened since."""
        world, served = self.world, self.gateway.served
        if self.authority.is_exhausted:
            world.disturb()
        sound = world.sound_since
        wanted = sound is not None and world.time - sound > DAY + SLACK
        if served is None or served.summary.is_bootstrap:
            if wanted:
                self._fault(f"no certificate of an authority after a good day: {served}")
            return
        left = served.summary.not_after - world.time
        if left < timedelta(0):
            self.record.lapsed += min(-left, world.time - before)
            self.record.lapses += -left <= world.time - before
        share = served.summary.lifetime * self._due_share
        if wanted and left < max(timedelta(0), share - DAY - SLACK):
            word = "expired" if left < timedelta(0) else f"has only {left}"
            self._fault(f"{word}, although all has been well since {sound:%Y-%m-%d %H:%M:%S}")

    def _judge_live(self) -> None:
        """See that nothing worse is live than the best that there ever was and still could be."""
        world = self.world
        if world.is_wrong(Trouble.CLOCK, Trouble.DISK) or abs(world.offset) > CLOCK_IS_RIGHT:
            return
        inventory = self.gateway.inventory(self.target, world.time)
        for held in inventory.stored:
            if held.trust.trusted and not held.summary.is_bootstrap and not held.revoked:
                self._good[held.version.id] = held.summary.not_after
            elif held.revoked:
                self._good.pop(held.version.id, None)
        best = max(self._good.values(), default=BEGIN)
        live = inventory.live
        fine = live is not None and live.trust.trusted and live.summary.not_after > world.time
        if not fine and best > world.time + SLACK:
            self._fault(f"{live} is live, although there was one that lasts until {best}")

    def _judge_pace(self) -> None:
        """Neither a busy loop nor anything that grows."""
        world = self.world
        self._recent = [at for at in self._recent if at > world.time - MINUTE] + [world.time]
        if len(self._recent) > MOST_PASSES_A_MINUTE:
            self._fault(f"{len(self._recent)} passes within a minute")
            self._recent = []
        if self.record.passes % 50 == 0:
            size = self.store.size()
            self.record.largest_state = max(self.record.largest_state, size)
            if size > LARGEST_STATE:
                self._fault(f"the state takes {size} bytes")
            if self.store.count() > MOST_KEPT:
                self._fault(f"{self.store.count()} things are kept")
