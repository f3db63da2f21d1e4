"""The story of a pass: store, certificates and reload commands are real; authority and DNS played.

The authority signs whatever it is asked to with a root of its own; the resolver says what it is
told to say. What listeners serve is proven in tests/integration.
"""

from __future__ import annotations

import errno
import json
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gatecert.certificate import key
from gatecert.deployment import Deployer
from gatecert.doctor import codes
from gatecert.errors import (
    ACMEError,
    AuthorityUnreachableError,
    ChallengeError,
    ChallengeFailedError,
    FailedAttempt,
    GatecertError,
    InterruptedOrderError,
    LockTimeoutError,
    RateLimitedError,
    StorageError,
    UserActionRequiredError,
)
from gatecert.model import (
    ChallengeChoice,
    FileContents,
    FileCopy,
    Identifier,
    IdentifierType,
    InstallPlan,
    IssuedChain,
    KeyPolicy,
    KeyType,
    Mode,
    Origin,
    OutcomeKind,
    PendingOrder,
    RenewalInfo,
    RenewalPolicy,
    Stage,
    Target,
)
from gatecert.pipeline import Occasion, Pipeline
from gatecert.resolve.lookup import Ending, Lookup
from gatecert.store import durable
from gatecert.store.files import FileStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gatecert.authority.enrolment import OrderJournal
    from gatecert.doctor.finding import Code, Finding
    from gatecert.install.inventory import Held
    from gatecert.model import CertificateSummary, Outcome, Progress

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HERE, ELSEWHERE = "192.0.2.7", "198.51.100.9"
HOSTNAME = "vpn.example.com"


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time


class Names:
    """A resolver that knows one address for every name."""

    def __init__(self) -> None:
        self.address = HERE
        self.asked = 0

    def look_up(self, names: Sequence[str]) -> tuple[Lookup, ...]:
        self.asked += 1
        return tuple(Lookup(name, Ending.ADDRESSES, (self.address,), MINUTE) for name in names)


@dataclass
class PlayedAuthority:
    """Issues at once, or fails with what stands in ``trouble``."""

    clock: Clock
    name: str = "played"
    lifetime: timedelta = 90 * DAY
    trouble: GatecertError | Exception | None = None
    orders: int = 0
    replaced: list[str] = field(default_factory=list)
    lifetimes: list[timedelta | None] = field(default_factory=list)
    renew_at: datetime | None = None
    asked_when: int = 0
    staging: PlayedAuthority | None = None
    during_order: Callable[[], None] = lambda: None
    choices: tuple[ChallengeChoice, ...] = ()
    lists_at: str = ""
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def obtain(
        self,
        target: Target,
        journal: OrderJournal,
        *,
        progress: Progress,
        now: Callable[[], datetime],
        replaces: str = "",
        lifetime: timedelta | None = None,
        cancelled: threading.Event | None = None,
    ) -> IssuedChain:
        assert cancelled is not None
        self.choices = target.choices
        pending = journal.pending()
        if pending is not None and pending[0].authority != self.name:
            journal.forget()
            pending = None
        if pending is None:
            self.orders += 1
            self.replaced.append(replaces)
            self.lifetimes.append(lifetime)
            request = journal.new_request()
            url = f"https://authority.example/order/{self.orders}"
            order = PendingOrder(self.name, "", url, request.id, target.identifiers, now())
            journal.record(order)
        else:
            order, request = pending
        progress(target.name, Stage.ORDER, "order placed")
        self.during_order()
        if isinstance(self.trouble, ACMEError):
            journal.forget()
        if self.trouble is not None:
            raise self.trouble
        return IssuedChain(
            private_key=request.private_key,
            certificate=self._sign(request.csr),
            chain=b"",
            origin=Origin.AUTHORITY,
            authority=self.name,
            order_url=order.url,
            notes=("a note",),
        )

    def renewal_info(
        self,
        summary: CertificateSummary,
        *,
        now: Callable[[], datetime],
        previous: RenewalInfo | None = None,
        cancelled: threading.Event | None = None,
    ) -> RenewalInfo:
        assert cancelled is not None
        assert previous is None or previous.certificate_id
        self.asked_when += 1
        return RenewalInfo(summary.certificate_id, now() + 6 * HOUR, renew_at=self.renew_at)

    def _sign(self, csr_pem: bytes) -> bytes:
        csr = x509.load_pem_x509_csr(csr_pem)
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = x509.CertificateBuilder()
        if self.lists_at:
            place = x509.UniformResourceIdentifier(self.lists_at)
            point = x509.DistributionPoint([place], None, None, None)
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        return (
            builder.subject_name(x509.Name([]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Played Root")]))
            .public_key(csr.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.clock())
            .not_valid_after(self.clock() + self.lifetime)
            .add_extension(names.value, critical=True)
            .add_extension(identifier, critical=False)
            .sign(self.key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )


class World:
    """A pipeline over a real store, and everything it deals with."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Clock()
        self.names = Names()
        self.authority = PlayedAuthority(self.clock)
        self.store = FileStore(directory / "state")
        self.told: list[str] = []
        self.cancelled = threading.Event()
        self.target = Target(
            name="vpn",
            identifiers=(Identifier(IdentifierType.DNS, HOSTNAME),),
            display_name=HOSTNAME,
            addresses=(HERE,),
            authorities=("missing", "played"),
        )
        self.pipeline = self.new_pipeline()

    def new_pipeline(self) -> Pipeline:
        """As after a restart of the process."""
        return Pipeline(
            store=self.store,
            deployer=Deployer(self.store, self._tell, self.clock, self.cancelled),
            resolver=self.names,
            authorities={"played": self.authority},
            progress=self._tell,
            now=self.clock,
            cancelled=self.cancelled,
            random=random.Random(1),
        )

    def obstruct(self, obstacle: Obstacle) -> Obstacle:
        """As after a restart, with something in the way."""
        self.pipeline = replace(self.new_pipeline(), obstacles=obstacle)
        return obstacle

    def plan(self, **plan: object) -> None:
        self.target = replace(self.target, install=InstallPlan(**plan))  # type: ignore[arg-type] # names of fields

    def script(self, text: str) -> tuple[str, ...]:
        """A reload command."""
        path = self.directory / "reload"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return (str(path),)

    def attend(self, **occasion: object) -> Outcome:
        return self.pipeline.attend(self.target, Occasion(**occasion))  # type: ignore[arg-type] # names of fields

    def later(self, wait: timedelta) -> None:
        self.clock.time += wait

    @property
    def live(self) -> x509.Certificate:
        path = self.store.gateway_directory("vpn") / "live" / "cert.pem"
        return x509.load_pem_x509_certificate(path.read_bytes())

    @property
    def serves_bootstrap(self) -> bool:
        return self.live.issuer == self.live.subject

    def _tell(self, gateway: str, stage: Stage, message: str) -> None:
        self.told.append(f"{gateway} {stage} {message}")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class Disk:
    """Full from the moment it is said to be."""

    full = False

    def __call__(self, name: str, path: Path) -> None:
        if self.full and name == "create":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@pytest.fixture
def disk() -> Iterator[Disk]:
    before, durable.on_step = durable.on_step, Disk()
    yield durable.on_step
    durable.on_step = before


# --------------------------------------------------------------------- bootstrap


def test_there_is_something_to_serve_before_anything_else(world: World) -> None:
    outcome = world.pipeline.prepare(world.target)
    assert outcome is not None
    assert outcome.kind is OutcomeKind.BOOTSTRAPPED
    assert world.serves_bootstrap
    assert (world.names.asked, world.authority.orders) == (0, 0)


def test_what_is_there_is_left_alone(world: World) -> None:
    world.pipeline.prepare(world.target)
    first = world.live
    assert world.pipeline.prepare(world.target) is None
    assert world.live == first


def test_a_bootstrap_certificate_is_made_anew_before_it_ends(world: World) -> None:
    world.names.address = ELSEWHERE
    world.attend()
    first = world.live
    world.later(21 * DAY)
    world.attend()
    assert world.serves_bootstrap
    assert world.live != first


def test_a_lost_link_never_costs_the_certificate_of_an_authority(world: World) -> None:
    world.attend()
    issued = world.live
    (world.store.gateway_directory("vpn") / "live").unlink()
    (world.store.gateway_directory("vpn") / "state.json").write_bytes(b"\x00garbage")
    outcome = world.pipeline.prepare(world.target)
    assert outcome is not None
    assert "again" in outcome.detail
    assert world.live == issued
    assert world.authority.orders == 1


def test_a_key_of_another_certificate_counts_as_none(world: World) -> None:
    world.attend()
    live = world.store.gateway_directory("vpn") / "live"
    (live / "privkey.pem").write_bytes(key.generate(KeyType.ECDSA_P256))
    world.pipeline.prepare(world.target)
    assert world.serves_bootstrap


def test_copies_that_cannot_be_written_do_not_hold_up_the_bootstrap(world: World) -> None:
    copy = FileCopy(world.directory / "missing" / "cert.pem", FileContents.CERT)
    world.plan(copies=(copy,))
    assert world.pipeline.prepare(world.target) is not None
    assert world.serves_bootstrap


# --------------------------------------------------------------------- enrolment


def test_a_gateway_is_enrolled_and_left_alone_until_it_is_due(world: World) -> None:
    outcome = world.attend()
    assert (outcome.kind, outcome.failed) == (OutcomeKind.ENROLLED, False)
    assert not world.serves_bootstrap
    assert world.attend().kind is OutcomeKind.IDLE
    assert world.authority.orders == 1
    assert world.store.state("vpn").order is None
    assert world.store.requests("vpn") == ()
    assert [line.split()[1] for line in world.told][:3] == ["resolve", "resolve", "order"]


def test_a_name_that_points_elsewhere_is_waited_for(world: World) -> None:
    world.names.address = ELSEWHERE
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.WAITING, "name-not-here")
    assert ELSEWHERE in outcome.detail
    assert outcome.next_at == START + timedelta(seconds=30)
    asked = world.names.asked
    world.attend()
    assert world.names.asked == asked
    world.names.address = HERE
    assert world.attend(look_now=True).kind is OutcomeKind.ENROLLED


def test_it_is_enrolled_at_the_look_after_the_name_came_right(world: World) -> None:
    world.names.address = ELSEWHERE
    world.attend()
    world.names.address = HERE
    world.later(timedelta(seconds=30))
    assert world.attend().kind is OutcomeKind.ENROLLED


def test_it_is_renewed_when_its_time_has_come(world: World) -> None:
    world.attend()
    first = world.live
    world.later(60 * DAY)
    outcome = world.attend()
    assert outcome.kind is OutcomeKind.RENEWED
    assert world.live != first
    assert world.live.public_key() != first.public_key()
    assert world.authority.replaced[0] == ""
    assert world.authority.replaced[1].count(".") == 1


def test_the_key_is_kept_where_it_is_pinned(world: World) -> None:
    world.target = replace(world.target, key=KeyPolicy(reuse=True))
    world.attend()
    first = world.live
    world.attend(force=True)
    assert world.live != first
    assert world.live.public_key() == first.public_key()


def test_the_authority_can_bring_a_renewal_forward(world: World) -> None:
    world.attend()
    world.authority.renew_at = START
    assert world.attend(look_now=True).kind is OutcomeKind.RENEWED


def test_renewal_information_is_asked_for_as_often_as_it_says(world: World) -> None:
    world.attend()
    world.attend()
    asked = world.authority.asked_when
    world.attend()
    assert world.authority.asked_when == asked == 1
    world.later(6 * HOUR)
    world.attend()
    assert world.authority.asked_when == asked + 1


def test_renewal_information_can_be_switched_off(world: World) -> None:
    world.target = replace(world.target, renewal=RenewalPolicy(renewal_info=False))
    world.attend()
    world.attend()
    assert world.authority.asked_when == 0


def test_force_orders_even_if_nothing_is_due(world: World) -> None:
    world.attend()
    assert world.attend(force=True).kind is OutcomeKind.RENEWED
    assert world.authority.orders == 2


def test_an_excluded_region_sends_nothing_to_the_authority(world: World) -> None:
    world.target = replace(world.target, region="cn")
    outcome = world.attend(force=True)
    assert (outcome.kind, outcome.failed) == (OutcomeKind.SKIPPED, False)
    assert "custom" in outcome.detail
    assert (world.authority.orders, world.names.asked) == (0, 0)
    assert world.serves_bootstrap


def test_a_certificate_from_before_its_region_was_excluded_stays(world: World) -> None:
    world.attend()
    world.target = replace(world.target, region="cn")
    assert world.attend().kind is OutcomeKind.SKIPPED
    assert not world.serves_bootstrap


def test_a_custom_gateway_is_never_enrolled(world: World) -> None:
    world.target = replace(world.target, mode=Mode.CUSTOM)
    world.attend()
    assert world.attend(force=True).kind is OutcomeKind.IDLE
    assert world.authority.orders == 0


def test_a_change_of_address_is_noticed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.attend()
    world.names.address = ELSEWHERE
    world.later(5 * MINUTE)
    with caplog.at_level("INFO"):
        assert world.attend().kind is OutcomeKind.IDLE
    assert f"changed from {HERE} to {ELSEWHERE}" in caplog.text
    assert not world.serves_bootstrap


# --------------------------------------------------------------------- what goes wrong


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
    assert world.store.state("vpn").failures == 2
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
    assert world.store.state("vpn").failures == 0


def test_what_failed_comes_last_at_the_next_attempt_until_something_is_issued(
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
    (failure,) = world.store.state("vpn").challenge_failures
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


def test_a_failed_renewal_leaves_what_is_served(world: World) -> None:
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
    assert "no authority" in outcome.detail


def test_an_interrupted_order_is_resumed_and_no_failure(world: World) -> None:
    world.authority.trouble = InterruptedOrderError("leaving")
    assert world.attend().kind is OutcomeKind.WAITING
    assert world.store.state("vpn").failures == 0
    world.authority.trouble = None
    world.pipeline = world.new_pipeline()
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert world.authority.orders == 1


def test_a_certificate_that_reached_the_disk_before_a_crash_settles_its_order(
    world: World,
) -> None:
    world.authority.trouble = InterruptedOrderError("leaving")
    world.attend()
    world.authority.trouble = None
    state = world.store.state("vpn")
    assert state.order is not None
    (request,) = world.store.requests("vpn")
    issued = IssuedChain(
        request.private_key,
        world.authority._sign(request.csr),  # noqa: SLF001 - the crash comes in between
        b"",
        Origin.AUTHORITY,
        authority="played",
        order_url=state.order.url,
    )
    world.store.add_version("vpn", issued, now=START)
    outcome = world.attend()
    assert outcome.kind is OutcomeKind.DEPLOYED
    assert not world.serves_bootstrap
    assert world.store.state("vpn").order is None
    assert world.authority.orders == 1


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From then on ``state.json`` cannot be read, although it is there."""

    def refuse(name: str, path: Path) -> None:
        if (name, path.name) == ("read", "state.json"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    return lambda: monkeypatch.setattr(durable, "on_step", refuse)


def test_state_that_cannot_be_read_is_not_taken_for_none(
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
    assert world.store.state("vpn").failures == 1


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
    assert world.store.state("vpn").order is None
    durable.on_step = lambda *_: None
    world.later(timedelta(seconds=30))
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert world.authority.orders == 1


def test_a_key_that_a_crash_left_without_its_order_goes(world: World) -> None:
    world.attend()
    world.pipeline.ordering.journal(world.target).new_request()  # and then it was killed
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
def test_what_is_not_looked_at_any_more_wakes_nobody(
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
    assert world.store.state("vpn").failures == 0


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


# --------------------------------------------------------------------- what is in the way


class Obstacle:
    """Stands in the way as long as it has a code."""

    def __init__(self, code: Code) -> None:
        self.code: Code | None = code
        self.asked: list[tuple[str, Held | None]] = []

    def __call__(self, target: Target, authority: str, in_use: Held | None) -> Finding | None:
        self.asked.append((authority, in_use))
        return self.code.found("seen", gateway=target.name) if self.code is not None else None


def test_what_an_order_is_certain_to_fail_of_holds_it_back_and_costs_no_attempt(
    world: World,
) -> None:
    obstacle = world.obstruct(Obstacle(codes.ADDRESS_IN_USE))
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "address-in-use")
    assert outcome.detail.startswith("seen; ")
    assert outcome.fix == codes.ADDRESS_IN_USE.fix
    assert outcome.next_at == START + MINUTE
    state = world.store.state("vpn")
    assert (state.failures, state.next_attempt, world.authority.orders) == (0, None, 0)
    assert state.obstruction is not None
    assert world.serves_bootstrap

    world.obstruct(obstacle)
    assert world.attend().kind is OutcomeKind.IDLE
    assert len(obstacle.asked) == 1
    obstacle.code = None
    world.later(MINUTE)
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert world.store.state("vpn").obstruction is None
    (authority, live) = obstacle.asked[-1]
    assert (authority, live and live.summary.is_bootstrap) == ("played", True)


def test_an_operator_need_not_wait_for_the_next_look_at_it(world: World) -> None:
    obstacle = world.obstruct(Obstacle(codes.CAA_FORBIDS))
    assert world.attend().next_at == START + DAY
    obstacle.code = None
    assert world.attend(look_now=True).kind is OutcomeKind.ENROLLED


def test_a_certificate_that_ends_soon_has_it_looked_at_more_often(world: World) -> None:
    world.attend()
    world.later(89 * DAY)
    world.obstruct(Obstacle(codes.CAA_FORBIDS))
    outcome = world.attend()
    assert outcome.next_at == world.clock() + HOUR


def test_a_finding_that_is_no_obstacle_holds_nothing_back(world: World) -> None:
    world.obstruct(Obstacle(codes.CLOCK_OFF))
    assert world.attend().kind is OutcomeKind.ENROLLED


def test_an_order_that_is_under_way_is_taken_up_whatever_is_in_the_way(world: World) -> None:
    world.authority.trouble = InterruptedOrderError("leaving")
    world.attend()
    world.authority.trouble = None
    world.obstruct(Obstacle(codes.ADDRESS_IN_USE))
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert world.attend(force=True).code == "address-in-use"


# --------------------------------------------------------------------- deployment


def test_the_gateway_is_reloaded_with_what_it_needs_to_know(world: World) -> None:
    log = world.directory / "log"
    world.plan(reload=world.script(f'echo "$GATECERT_GATEWAY $GATECERT_HOSTNAME" >> {log}'))
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert log.read_text() == f"vpn {HOSTNAME}\n"


def test_a_command_may_prove_what_no_handshake_can(world: World, tmp_path: Path) -> None:
    served = tmp_path / "served"
    live = world.store.gateway_directory("vpn") / "live" / "cert.pem"
    fingerprint = f"openssl x509 -in {live} -noout -fingerprint -sha256 | tr -d :"
    proof = f'{fingerprint} | grep -qi "$GATECERT_FINGERPRINT" && [ -e {served} ]'
    world.plan(verify_command=("sh", "-c", proof), verify_timeout=timedelta(0))

    failed = world.attend()
    assert failed.kind is OutcomeKind.ROLLED_BACK
    assert failed.code == "not-served"
    assert "verify_command sh says that it is not served (exit status 1)" in failed.detail

    served.touch()
    world.later(HOUR)
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert not world.serves_bootstrap
    assert world.authority.orders == 1


def test_a_failing_reload_is_rolled_back_and_only_the_deployment_is_tried_again(
    world: World,
) -> None:
    world.attend()
    first = world.live
    world.plan(reload=world.script("echo not today; exit 3"))
    world.later(60 * DAY)
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.ROLLED_BACK, "reload-failed")
    assert "not today" in outcome.detail
    assert "not proven either" in outcome.detail
    assert world.live == first
    assert world.store.state("vpn").failures == 0

    world.plan(reload=world.script("exit 0"))
    assert world.attend().kind is OutcomeKind.IDLE
    world.later(timedelta(seconds=10))
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert world.live != first
    assert world.authority.orders == 2


def test_deployments_that_go_on_failing_are_tried_less_and_less(world: World) -> None:
    world.plan(reload=world.script("exit 1"))
    delays = []
    for _ in range(4):
        outcome = world.attend(force=False)
        assert outcome.failed
        assert outcome.next_at is not None
        delays.append(outcome.next_at - world.clock())
        world.later(delays[-1])
    assert delays == [timedelta(seconds=10), MINUTE, 5 * MINUTE, 30 * MINUTE]
    assert world.authority.orders == 1


def test_a_crash_between_swap_and_reload_is_made_good(world: World) -> None:
    world.attend()
    log = world.directory / "log"
    world.plan(reload=world.script(f"echo reloaded >> {log}"))
    deployment = world.store.gateway_directory("vpn") / "deployment.json"
    kept = json.loads(deployment.read_text())
    deployment.write_text(json.dumps({**kept, "confirmed": None}))
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert log.read_text() == "reloaded\n"
    assert world.attend().kind is OutcomeKind.IDLE


def test_what_is_not_taken_is_rolled_back_even_after_a_crash_in_between(world: World) -> None:
    world.attend()
    first = world.live
    world.plan(reload=world.script(f"[ -e {world.directory / 'allowed'} ]"))
    world.later(60 * DAY)
    world.pipeline.deployer.swap(world.target, _renewed(world))  # and then it was killed
    assert world.live != first
    assert world.attend().kind is OutcomeKind.ROLLED_BACK
    assert world.live == first
    (world.directory / "allowed").touch()
    world.later(HOUR)
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert world.live != first


def _renewed(world: World) -> Held:
    """A certificate that has just been issued and kept."""
    world.authority.trouble = InterruptedOrderError("leaving")
    world.attend()
    world.authority.trouble = None
    state = world.store.state("vpn")
    assert state.order is not None
    (request,) = world.store.requests("vpn")
    issued = IssuedChain(
        request.private_key,
        world.authority._sign(request.csr),  # noqa: SLF001 - the crash comes in between
        b"",
        Origin.AUTHORITY,
        authority="played",
        order_url=state.order.url,
    )
    return world.pipeline.memory.keep(world.target, issued)


def test_what_was_served_is_served_again_though_that_cannot_be_written_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.attend()
    first = world.live
    world.plan(reload=world.script("exit 1"))
    world.later(60 * DAY)

    def full(name: str, path: Path) -> None:
        before = json.loads(path.read_text()) if path.name == "deployment.json" else {}
        if name == "replace" and before.get("previous"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(durable, "on_step", full)
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "state-unwritable")
    assert world.live == first
    assert outcome.next_at == world.clock() + timedelta(seconds=30)


def test_copies_that_a_crash_left_out_are_written_before_anything_is_confirmed(
    world: World,
) -> None:
    copy = FileCopy(world.directory / "copy.pem", FileContents.CERT)
    world.plan(copies=(copy,), verify_command=("true",))
    world.attend()
    copy.path.unlink()
    deployment = world.store.gateway_directory("vpn") / "deployment.json"
    kept = json.loads(deployment.read_text())
    deployment.write_text(json.dumps({**kept, "confirmed": None}))
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert copy.path.exists()


def test_a_copy_that_the_configuration_asks_for_later_is_written_at_once(world: World) -> None:
    reloads = world.directory / "reloads"
    world.plan(reload=world.script(f"echo >>{reloads}"))
    world.attend()
    before = len(reloads.read_text())
    copy = FileCopy(world.directory / "copy.pem", FileContents.CERT)
    world.plan(copies=(copy,), reload=world.target.install.reload)

    assert world.pipeline.prepare(world.target) is None

    assert copy.path.exists()
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert len(reloads.read_text()) == before + 1
    assert world.pipeline.prepare(world.target) is None
    assert world.attend().kind is OutcomeKind.IDLE
    assert world.authority.orders == 1


def test_a_copy_asked_for_later_that_cannot_be_written_is_a_failure_and_costs_nothing(
    world: World,
) -> None:
    world.attend()
    issued = world.live
    world.plan(copies=(FileCopy(world.directory / "missing" / "cert.pem", FileContents.CERT),))

    assert world.pipeline.prepare(world.target) is None
    outcome = world.attend()

    assert outcome.kind is OutcomeKind.FAILED
    assert "missing/cert.pem" in outcome.detail
    assert world.live == issued
    assert world.authority.orders == 1


def test_leaving_in_the_middle_of_a_reload_leaves_the_deployment_to_the_next_pass(
    world: World,
) -> None:
    started = world.directory / "started"
    world.plan(reload=world.script(f"touch {started}; sleep 5"))

    def leave() -> None:
        while not started.exists():
            time.sleep(0.01)
        world.cancelled.set()

    leaving = threading.Thread(target=leave)
    leaving.start()
    outcome = world.attend()
    leaving.join()
    assert outcome.kind is OutcomeKind.WAITING
    assert not world.serves_bootstrap
    world.cancelled.clear()
    world.plan(reload=world.script("exit 0"))
    assert world.attend().kind is OutcomeKind.DEPLOYED
    assert world.authority.orders == 1


def test_the_newest_few_versions_are_kept(world: World) -> None:
    world.plan(keep_versions=2)
    for _ in range(4):
        world.attend(force=True)
    assert len(world.store.versions("vpn")) == 2


def test_notes_of_the_authority_reach_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.attend()
    assert "a note" in caplog.text


def test_nothing_is_begun_when_leaving(world: World) -> None:
    world.pipeline.prepare(world.target)
    world.cancelled.set()
    assert world.attend().kind is OutcomeKind.IDLE
    assert world.authority.orders == 0
