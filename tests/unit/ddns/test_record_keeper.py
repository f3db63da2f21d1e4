"""When records are published, when they are not, and what every failure leads to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from tests.fakes.clock import DAY, HOUR, MINUTE, START
from tests.fakes.dynamic_dns import PublicDns, Records, Source

from gatecert.ddns.address_source import FoundAddresses
from gatecert.ddns.record_keeper import RecordKeeper, RecordPolicy
from gatecert.errors import (
    ChallengeError,
    DdnsBlockedError,
    DdnsRefusedError,
    DdnsUnreachableError,
    ProviderNotContactedError,
    RecordRefusedError,
    ResolutionError,
)
from gatecert.model import AddressRecords, DdnsState, RecordKind
from gatecert.resolve.lookup import LookupStatus

A, AAAA = RecordKind.A, RecordKind.AAAA
ONE, TWO, SIX = "100.200.30.40", "100.200.30.41", "2a00:1450::7"
NAME = "boston.example.com"
SECOND = timedelta(seconds=1)


@dataclass
class Scene:
    """A keeper with everything around it, and the state that it returned last."""

    policy: RecordPolicy = field(default_factory=RecordPolicy)
    source: Source = field(default_factory=lambda: Source(FoundAddresses((ONE,))))
    updater: Records = field(default_factory=Records)
    dns: PublicDns = field(default_factory=lambda: PublicDns((ONE,)))
    settings: str = "one"
    state: DdnsState | None = None

    def keep(self, after: timedelta = timedelta(0), *, asked: bool = False) -> DdnsState:
        self.time += after
        keeper = RecordKeeper(
            NAME, self.policy, self.source, self.updater, self.dns, lambda: self.settings
        )
        self.state = keeper.keep(self.state, now=self.time, asked=asked)
        return self.state

    def __post_init__(self) -> None:
        self.time = START

    def find(self, *addresses: str, unknown: frozenset[RecordKind] = frozenset()) -> None:
        self.source.found = FoundAddresses(addresses, unknown, "it says nothing" * bool(unknown))

    @property
    def updates(self) -> list[str]:
        return [str(change) for change in self.updater.asked]


def service(**changes: object) -> Scene:
    """A service that takes one address of each type and counts updates."""
    policy = RecordPolicy(one_each=True, counts_updates=True)
    return Scene(replace(policy, **changes), dns=PublicDns((TWO,)))  # type: ignore[arg-type] # names of fields


# --------------------------------------------------------------------------- publishing


def test_the_first_look_publishes() -> None:
    scene = Scene()
    state = scene.keep()
    assert scene.updates == [f"{NAME} A {ONE}"]
    assert state.addresses == (ONE,)
    assert state.published_at == START
    assert state.next_look == START + 5 * MINUTE
    assert state.problem is None
    assert scene.dns.asked == []  # a look-up would be remembered as "no such name"


def test_nothing_is_looked_at_before_it_is_due() -> None:
    scene = Scene()
    scene.keep()
    scene.keep(4 * MINUTE)
    assert scene.source.asked == 1
    scene.keep(MINUTE)
    assert scene.source.asked == 2


def test_an_unchanged_address_is_never_published_again() -> None:
    scene = service()
    for _ in range(300):
        scene.keep(5 * MINUTE)
        scene.dns.addresses = (ONE,)
    assert len(scene.updates) == 1
    scene.keep(asked=True)
    assert len(scene.updates) == 1


def test_a_changed_address_is_published_at_the_next_look() -> None:
    scene = Scene()
    scene.keep()
    scene.find(TWO)
    scene.keep(5 * MINUTE)
    assert scene.updates[1:] == [f"{NAME} A {TWO}"]


def test_a_service_is_not_asked_for_what_the_name_has_already() -> None:
    scene = service()
    scene.dns.addresses = (ONE,)
    state = scene.keep()
    assert scene.updates == []
    assert state.addresses == (ONE,)
    assert state.published_at == START


def test_settings_that_change_start_anew() -> None:
    scene = Scene()
    scene.keep()
    scene.settings = "two"
    scene.keep(SECOND)
    assert len(scene.updates) == 2


def test_a_clock_that_was_set_back_delays_nothing() -> None:
    scene = Scene()
    scene.keep()
    scene.keep(-DAY)
    assert scene.source.asked == 2


# --------------------------------------------------------------------------- which records


def test_both_types_and_several_addresses() -> None:
    scene = Scene()
    scene.find(ONE, TWO, SIX)
    scene.keep()
    assert scene.updates == [f"{NAME} A {ONE} and {TWO}, AAAA {SIX}"]


def test_a_service_takes_one_address_of_each_type() -> None:
    scene = service()
    scene.find(ONE, TWO, SIX)
    scene.keep()
    assert scene.updates == [f"{NAME} A {ONE}, AAAA {SIX}"]


def test_only_the_configured_types_are_touched() -> None:
    scene = Scene(RecordPolicy(kinds=(A,), remove_stale=True))
    scene.find(ONE, SIX)
    scene.keep()
    assert scene.updates == [f"{NAME} A {ONE}"]


def test_a_stale_record_is_removed_only_where_asked() -> None:
    scene = Scene(RecordPolicy(remove_stale=True))
    scene.find(ONE, SIX)
    scene.keep()
    scene.find(ONE)
    assert scene.keep(5 * MINUTE).published == (
        AddressRecords(A, (ONE,)),
        AddressRecords(AAAA, ()),
    )
    assert scene.updates[1] == f"{NAME} A {ONE}, AAAA removed"
    kept = Scene()
    kept.keep()
    assert kept.updates == [f"{NAME} A {ONE}"]


def test_nothing_is_removed_because_of_ignorance() -> None:
    scene = Scene(RecordPolicy(remove_stale=True))
    scene.find(ONE, unknown=frozenset({AAAA}))
    state = scene.keep()
    assert scene.updates == [f"{NAME} A {ONE}"]
    assert state.problem is not None
    assert state.problem.code == "ddns-no-address"
    assert "no AAAA record is kept" in state.problem.detail


def test_nothing_is_removed_when_every_address_is_gone() -> None:
    scene = Scene(RecordPolicy(remove_stale=True))
    scene.keep()
    scene.find()
    state = scene.keep(5 * MINUTE)
    assert len(scene.updates) == 1
    assert state.problem is not None
    assert state.problem.code == "ddns-no-address"
    assert state.addresses == (ONE,)


def test_private_addresses_are_published_only_where_allowed() -> None:
    scene = Scene()
    scene.find("10.0.0.1")
    state = scene.keep()
    assert scene.updates == []
    assert state.problem is not None
    assert "10.0.0.1 cannot be published" in state.problem.detail
    assert "allow_private" in state.problem.fix
    allowed = Scene(RecordPolicy(allow_private=True))
    allowed.find("10.0.0.1")
    allowed.keep()
    assert allowed.updates == [f"{NAME} A 10.0.0.1"]


def test_a_source_that_fails_is_asked_again_at_the_interval() -> None:
    scene = Scene(source=Source(ResolutionError("no interface ppp0", fix="connect it")))
    state = scene.keep()
    assert state.problem is not None
    assert (state.problem.code, state.problem.fix) == ("ddns-no-address", "connect it")
    scene.find(ONE)
    assert scene.keep(5 * MINUTE).problem is None
    assert len(scene.updates) == 1


# --------------------------------------------------------------------------- changed by others


def test_records_that_somebody_else_changed_are_published_again() -> None:
    scene = service()
    scene.keep()
    scene.dns.addresses = (TWO,)
    scene.keep(30 * MINUTE)
    assert len(scene.updates) == 1
    scene.keep(30 * MINUTE)
    assert len(scene.updates) == 2


def test_a_repair_that_changed_nothing_is_not_repeated_for_a_day() -> None:
    scene = service()
    scene.keep()
    scene.updater.changes = False
    for _ in range(24 * 12):
        scene.keep(5 * MINUTE)
    assert len(scene.updates) == 2


@pytest.mark.parametrize("status", [LookupStatus.TIMEOUT, LookupStatus.SERVER_FAILURE])
def test_a_look_up_that_fails_shows_nothing(status: LookupStatus) -> None:
    scene = Scene()
    scene.keep()
    scene.dns.status = status
    scene.keep(2 * HOUR)
    assert len(scene.updates) == 1


def test_internal_dns_shows_nothing() -> None:
    scene = service()
    scene.keep()
    scene.dns.addresses = ("10.0.0.1",)
    scene.keep(2 * HOUR)
    assert len(scene.updates) == 1


def test_a_name_that_is_gone_is_published_again_in_a_zone_of_one_s_own() -> None:
    scene = Scene()
    scene.keep()
    scene.dns.status = LookupStatus.NO_SUCH_NAME
    scene.keep(2 * HOUR)
    assert len(scene.updates) == 2


# --------------------------------------------------------------------------- failures


def test_a_service_that_does_not_answer_is_tried_again_ever_more_rarely() -> None:
    scene = Scene(updater=Records(DdnsUnreachableError("no answer")))
    attempts = []
    for _ in range(5 * 60):
        before = len(scene.updates)
        scene.keep(MINUTE)
        if len(scene.updates) > before:
            attempts.append((scene.time - START) // MINUTE)
    assert attempts == [1, 2, 7, 22, 82, 142, 202, 262]
    scene.updater.error = None
    state = scene.keep(HOUR)
    assert (state.failures, state.problem) == (0, None)


def test_an_operator_may_try_again_at_once() -> None:
    scene = Scene(updater=Records(DdnsUnreachableError("no answer")))
    scene.keep()
    scene.keep(SECOND, asked=True)
    assert len(scene.updates) == 2


def test_a_pause_that_the_service_asks_for_binds_operators_too() -> None:
    scene = Scene(updater=Records(DdnsUnreachableError("911", pause=1800.0)))
    scene.keep()
    for _ in range(29):
        scene.keep(MINUTE, asked=True)
    assert len(scene.updates) == 1
    scene.keep(MINUTE)
    assert len(scene.updates) == 2


@pytest.mark.parametrize(
    ("error", "pause"),
    [(DdnsRefusedError("badauth"), DAY), (DdnsBlockedError("abuse"), 7 * DAY)],
)
def test_a_refusal_stops_until_something_changes(error: Exception, pause: timedelta) -> None:
    scene = Scene(updater=Records(error))
    state = scene.keep()
    assert state.problem is not None
    assert state.problem.code == error.code  # type: ignore[attr-defined] # of GatecertError
    for _ in range(int(pause / HOUR) - 1):
        scene.keep(HOUR)
    assert len(scene.updates) == 1
    assert scene.source.asked == 1  # nothing else is asked meanwhile either
    scene.keep(HOUR)
    assert len(scene.updates) == 2


@pytest.mark.parametrize("error", [DdnsRefusedError("badauth"), DdnsBlockedError("abuse")])
def test_after_a_refusal_changed_settings_or_an_operator_try_again(error: Exception) -> None:
    scene = Scene(updater=Records(error))
    scene.keep()
    scene.settings = "a new password"
    scene.keep(SECOND)
    assert len(scene.updates) == 2
    scene.keep(SECOND, asked=True)
    assert len(scene.updates) == 3


def test_a_refused_change_keeps_what_was_published() -> None:
    scene = Scene()
    scene.keep()
    scene.find(TWO)
    scene.updater.error = DdnsRefusedError("badauth")
    state = scene.keep(5 * MINUTE)
    assert state.addresses == (ONE,)


def test_a_problem_has_been_there_since_it_was_first_met() -> None:
    scene = Scene(updater=Records(DdnsUnreachableError("no answer")))
    scene.keep()
    state = scene.keep(HOUR)
    assert state.problem is not None
    assert state.problem.since == START
    assert state.failures == 2


def _because(error: Exception) -> ChallengeError:
    raised = ProviderNotContactedError("cannot be reached")
    raised.__cause__ = error
    return raised


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RecordRefusedError("REFUSED", fix="allow it"), "ddns-refused"),
        (ProviderNotContactedError("no such credential"), "ddns-refused"),
        (_because(OSError("no route")), "ddns-unreachable"),
        (ChallengeError("no answer"), "ddns-unreachable"),
    ],
)
def test_errors_of_dns_providers_are_told_apart(error: ChallengeError, code: str) -> None:
    state = Scene(updater=Records(error)).keep()
    assert state.problem is not None
    assert (state.problem.code, state.problem.fix) == (code, error.fix)
