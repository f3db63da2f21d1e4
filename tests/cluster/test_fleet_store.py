"""Two stores on one database: what the hosts of a cluster share."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from tests.fakes.pki import Pki, dns

from gatecert.certificate import key
from gatecert.certificate.request import build_request
from gatecert.errors import (
    CommitUnknownError,
    DatabaseError,
    EnrolmentDamagedError,
    LeaseLostError,
    SchemaUnknownError,
    SealingKeyMissingError,
    StorageError,
)
from gatecert.model import (
    Account,
    CountedBy,
    CountedRequest,
    DatabaseProblem,
    DeploymentOutcome,
    EnrolmentState,
    Expenses,
    GatewayState,
    HostState,
    IssuedChain,
    KeyRequest,
    KeyType,
    LimitReached,
    Limits,
    OrderHeld,
    Origin,
    PendingOrder,
    RateLimit,
    RenewalInfo,
    RequestGroup,
    RequestKind,
    RevocationReason,
    RevocationState,
    TextRecord,
)
from gatecert.model.cluster_view import ClusterView
from gatecert.model.fleet import LONGEST_PERIOD, FleetHost, Priority, Urgency
from gatecert.store.file_store import FileStore
from gatecert.store.postgres import lease_rows, sending_again, version_rows
from gatecert.store.postgres.field_store import FieldStore
from gatecert.store.postgres.fleet_store import FleetStore
from gatecert.store.postgres.held_lease import LENGTH
from harness.postgres import OWNER, postgres_program
from harness.process import BackgroundProcess
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.store.postgres.held_lease import HeldLease

    from .conftest import FleetDatabase, Pair

URL = "https://ca.example/directory"
NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
URGENT = Urgency(Priority.ENDING, NOW)
FEW, NONE = Limits(orders=RateLimit(5, HOUR)), Limits()
ORDER = Expenses(NOW, (CountedRequest(RequestKind.ORDER, NOW, account="https://ca.example/1"),))
PKI = Pki()
NUMBERS = count(1)
A, B, OTHER = "hq-gw-a", "hq-gw-b", "lab-gw-a"

Open = Callable[..., FleetStore]


@pytest.fixture
def open_store(database: FleetDatabase, tmp_path: Path) -> Iterator[Open]:
    """Open the store of a host, again on the same directory after a restart."""
    stores = []

    def open_store(
        role: str = A,
        *,
        sealing_keys: tuple[str, ...] = ("seal",),
        fleet: FleetDatabase | None = None,
        unshared: tuple[str, ...] = (),
    ) -> FleetStore:
        paths = tuple(tmp_path / name for name in sealing_keys)
        for path in paths:
            if not path.exists():
                path.write_bytes(Fernet.generate_key())
                path.chmod(0o600)
        cluster, _, host = role.partition("-")
        place = FleetHost((fleet or database).logins[role], cluster, host, 1, paths, 0)
        stores.append(FleetStore(tmp_path / role, place, unshared=unshared, pause=0.0))
        return stores[-1]

    yield open_store
    for store in stores:
        store.database.close()


@pytest.fixture
def first(open_store: Open) -> FleetStore:
    return open_store(A)


@pytest.fixture
def second(open_store: Open) -> FleetStore:
    return open_store(B)


def key_request(name: str = "") -> KeyRequest:
    private_key = key.generate(KeyType.ECDSA_P256)
    csr = build_request(private_key, dns("vpn.example.com"), common_name=None)
    return KeyRequest(name or f"order-number-{next(NUMBERS)}", NOW, private_key, csr)


def issued(*, days: int = 90, with_second: bool = False) -> IssuedChain:
    root = PKI.root()
    name = f"vpn for {days} days"
    leaf = PKI.issue(name, root, end=NOW + days * timedelta(days=1))
    chain = IssuedChain(
        leaf.key_pem,
        leaf.pem,
        root.pem,
        Origin.AUTHORITY,
        root=root.pem,
        authority="letsencrypt",
        order_url="https://ca.example/order/1",
        notes=("trusted",),
    )
    if not with_second:
        return chain
    other = PKI.issue(f"{name}, rsa", root, key_kind="2048")
    half = IssuedChain(other.key_pem, other.pem, root.pem, Origin.AUTHORITY, root=root.pem)
    return replace(chain, second=half)


def state(failures: int) -> GatewayState:
    return GatewayState(EnrolmentState(failures=failures), HostState(next_look=NOW))


def open_order(
    store: FleetStore, lease: HeldLease, request: KeyRequest, within: Limits = NONE
) -> LimitReached | OrderHeld | None:
    return store.open_order("vpn", request, URL, ORDER, within, lease=lease)


def install(store: FleetStore, chain: IssuedChain) -> None:
    """Order and install, as a pass does."""
    store.state("vpn")
    with store.lease("vpn") as lease:
        open_order(store, lease, key_request())
        store.add_version("vpn", chain, now=NOW)


def lapse(database: FleetDatabase) -> None:
    """Let all leases end, without their hosts having noticed: they were frozen."""
    database.execute("UPDATE gateway SET lease_until = clock_timestamp()")


# ------------------------------------------------------------------ who may order


def test_one_host_orders_at_a_time(first: FleetStore, second: FleetStore) -> None:
    with first.lease("vpn") as lease:
        lease.check()
        with pytest.raises(LeaseLostError, match="gateway vpn"), second.lease("vpn"):
            pass
        with second.lease("mail"):
            pass
    with second.lease("vpn") as lease:
        lease.check()


def test_a_host_that_was_frozen_changes_nothing(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    late: dict[str, Callable[[HeldLease], object]] = {
        "open": lambda lease: open_order(first, lease, key_request()),
        "save": lambda _: first.save_state("vpn", state(failures=1)),
        "add": lambda _: first.add_version("vpn", issued(), now=NOW),
        "remove": lambda _: first.remove_request("vpn", "remove"),
    }
    for name, act in late.items():
        first.state("vpn")
        with first.lease("vpn") as lease:
            lapse(database)
            with second.lease("vpn") as other:
                open_order(second, other, key_request(name))
                with pytest.raises(LeaseLostError):
                    act(lease)
                with pytest.raises(LeaseLostError):  # which it knows from then on
                    lease.check()
                assert [each.id for each in second.requests("vpn")] == [name]
                second.remove_request("vpn", name)
    assert first.versions("vpn") == ()
    assert first.requests("vpn") == ()
    assert second.state("vpn").enrolment == EnrolmentState()
    expenses = database.execute("SELECT DISTINCT host FROM expense")
    assert expenses == [("gw-b",)]


def test_a_process_that_is_stopped_for_longer_than_its_lease_is_fenced(
    open_store: Open, second: FleetStore, tmp_path: Path
) -> None:
    place = open_store(A).place
    argument = tmp_path / "place.pickle"
    argument.write_bytes(pickle.dumps(place))
    script = Path(__file__).with_name("frozen_host.py")
    argv = [sys.executable, str(script), str(argument), str(tmp_path / "frozen")]
    with BackgroundProcess(argv, log=tmp_path / "frozen.log") as host:
        wait_until(lambda: "held" in host.output, "the lease", seconds=60, explain=host.tail)
        host.signal(signal.SIGSTOP)

        def takes_over() -> bool:
            try:
                with second.lease("vpn") as lease:
                    open_order(second, lease, key_request("order-2"))
                    host.signal(signal.SIGCONT)
                    assert host.wait(60) == 0
                    return True
            except LeaseLostError:
                return False

        wait_until(takes_over, "the end of the lease", seconds=60)
        assert host.output.split()[-3:] == ["held", "LeaseLostError", "LeaseLostError"]
    assert [each.id for each in second.requests("vpn")] == ["order-2"]


def test_hosts_that_race_for_an_order_open_exactly_one(
    open_store: Open, database: FleetDatabase
) -> None:
    stores = [open_store(role) for role in (A, B) * 4]
    start = Barrier(len(stores))

    def order(number: int) -> bool:
        store = stores[number]
        store.state("vpn")
        start.wait()
        try:
            with store.lease("vpn") as lease:
                opened = open_order(store, lease, key_request(f"order-{number}")) is None
                start.wait()
                return opened
        except LeaseLostError:
            start.wait()
            return False

    with ThreadPoolExecutor(len(stores)) as threads:
        assert sorted(threads.map(order, range(len(stores)))) == [*[False] * 7, True]
    assert database.execute("SELECT count(*), min(generation) FROM intent") == [(1, 1)]
    assert database.execute("SELECT count(*) FROM expense") == [(1,)]


def test_a_host_that_has_not_seen_the_newest_generation_does_not_order(
    first: FleetStore, second: FleetStore
) -> None:
    first.state("vpn")
    second.state("vpn")
    install(first, issued())
    with pytest.raises(LeaseLostError, match="before it has seen the result"), second.lease("vpn"):
        pass
    second.copy_version("vpn", now=NOW)
    with second.lease("vpn"):
        pass


def test_a_host_that_has_not_seen_the_newest_state_does_not_order(
    first: FleetStore, second: FleetStore
) -> None:
    second.state("vpn")
    with first.lease("vpn"):
        first.save_state("vpn", state(failures=1))
    with pytest.raises(LeaseLostError, match="before it has seen the result"), second.lease("vpn"):
        pass
    second.state("vpn")
    with second.lease("vpn"):
        pass


# ------------------------------------------------------------------ the state


def test_enrolment_is_shared_and_the_rest_is_not(first: FleetStore, second: FleetStore) -> None:
    with first.lease("vpn"):
        first.save_state("vpn", state(failures=3))
    assert first.state("vpn") == state(failures=3)
    assert second.state("vpn") == GatewayState(EnrolmentState(failures=3), HostState())


def test_what_a_host_learns_without_a_lease_does_not_undo_an_order(
    first: FleetStore, second: FleetStore
) -> None:
    read = second.state("vpn")
    with first.lease("vpn"):
        first.save_state("vpn", state(failures=3))
        second.save_state("vpn", replace(read, enrolment=EnrolmentState(failed_at=NOW)))
    assert second.state("vpn").enrolment == EnrolmentState(failures=3)
    second.save_state("vpn", GatewayState(EnrolmentState(failures=3, failed_at=NOW)))
    assert first.state("vpn").enrolment == EnrolmentState(failures=3, failed_at=NOW)
    first.save_state("vpn", GatewayState(EnrolmentState(failures=3)))
    second.save_state("vpn", GatewayState(EnrolmentState(failures=9)))  # it has read an older one
    assert first.state("vpn").enrolment == EnrolmentState(failures=3)


def test_the_lease_of_a_process_that_was_lost_keeps_its_own_host_from_no_write(
    open_store: Open, first: FleetStore, second: FleetStore
) -> None:
    first.save_state("vpn", state(failures=1))
    with first.database.transaction() as rows:
        assert lease_rows.claim(rows, "vpn", LENGTH)  # it is killed, so nobody ends the lease
    read = second.state("vpn")
    second.save_state("vpn", replace(read, enrolment=EnrolmentState(failures=7)))
    later = open_store(A)
    assert later.state("vpn") == state(failures=1)
    later.save_state("vpn", state(failures=2))
    for store in (later, second):
        assert store.state("vpn").enrolment == EnrolmentState(failures=2)


def test_a_thread_that_only_reads_lets_no_pass_undo_what_another_host_has_done(
    first: FleetStore, second: FleetStore
) -> None:
    with second.lock_gateway("vpn", "a pass", wait=0):
        read = second.state("vpn")
        with first.lease("vpn"):
            first.save_state("vpn", state(failures=3))
        with ThreadPoolExecutor(1) as threads:
            assert threads.submit(second.state, "vpn").result().enrolment.failures == 3
        second.save_state("vpn", replace(read, enrolment=EnrolmentState(failed_at=NOW)))
    assert first.state("vpn").enrolment == EnrolmentState(failures=3)


def test_of_two_hosts_that_draw_an_instant_of_renewal_the_first_decides(
    first: FleetStore, second: FleetStore
) -> None:
    drawn = [RenewalInfo("a.b", NOW + HOUR, renew_at=NOW + days * HOUR) for days in (20, 30)]
    read = [store.state("vpn") for store in (first, second)]
    for store, before, renewal in zip((first, second), read, drawn, strict=True):
        store.save_state("vpn", replace(before, enrolment=EnrolmentState(renewal=renewal)))
    for store in (first, second):
        assert store.state("vpn").enrolment.renewal == drawn[0]


def test_the_first_host_brings_the_state_that_it_had(
    tmp_path: Path, open_store: Open, second: FleetStore
) -> None:
    FileStore(tmp_path / A).save_state("vpn", state(failures=2))
    first = open_store(A)
    assert first.state("vpn") == state(failures=2)
    first.save_state("vpn", state(failures=2))
    assert second.state("vpn").enrolment == EnrolmentState(failures=2)


def test_fields_of_a_newer_gatecert_do_not_keep_a_host_from_writing(
    first: FleetStore, database: FleetDatabase
) -> None:
    with first.lease("vpn"):
        first.save_state("vpn", state(failures=1))
    database.execute("UPDATE gateway SET enrolment = enrolment || '{\"newer\": 1}'")
    assert first.state("vpn") == state(failures=1)
    first.save_state("vpn", state(failures=2))
    assert first.state("vpn") == state(failures=2)


# ------------------------------------------------------------------ revocations


PLACED = PendingOrder("letsencrypt", URL, "https://ca.example/2", "order-2", dns("vpn"), NOW)


def revoked(store: FleetStore, **changes: object) -> RevocationState:
    """The newest certificate of a host as revoked for good."""
    newest = max(store.versions("vpn"), key=lambda version: version.generation)
    fingerprint = version_rows.fingerprint_of(newest.certificate)
    known = RevocationState(fingerprint, NOW, checked=NOW, revoked=NOW)
    return replace(known, **changes)  # type: ignore[arg-type] # names of fields


def with_revocation(read: GatewayState, revocation: RevocationState) -> GatewayState:
    return replace(read, enrolment=replace(read.enrolment, revocation=revocation))


@pytest.fixture
def both(first: FleetStore, second: FleetStore) -> GatewayState:
    """Two hosts with a certificate, and what the second one has read last."""
    install(first, issued())
    assert second.copy_version("vpn", now=NOW) is not None
    first.state("vpn")
    return second.state("vpn")


def test_a_revocation_outlasts_what_another_host_has_written_meanwhile(
    first: FleetStore, second: FleetStore, both: GatewayState, open_store: Open
) -> None:
    revocation = revoked(second)
    first.save_state("vpn", state(failures=3))
    second.save_state("vpn", with_revocation(both, revocation))
    for store in (second, open_store(B)):
        known = store.state("vpn")
        assert known.enrolment == EnrolmentState(failures=3, revocation=revocation)
    store.save_state("vpn", known)
    assert first.state("vpn").enrolment == known.enrolment


def test_a_revocation_outlasts_an_order_of_another_host(
    first: FleetStore, second: FleetStore, both: GatewayState, database: FleetDatabase
) -> None:
    revocation = revoked(second, new_key=True)
    with first.lease("vpn"):
        first.save_state("vpn", GatewayState(EnrolmentState(next_attempt=NOW, order=PLACED)))
        second.save_state("vpn", with_revocation(both, revocation))
        for _ in range(2):
            known = second.state("vpn")
            assert known.enrolment == EnrolmentState(revocation=revocation)  # it is urgent
            second.save_state("vpn", known)
        assert first.state("vpn").enrolment.order == PLACED
        let_in(database, connections=0)
        assert second.state("vpn") == known
        second.save_state("vpn", known)
        let_in(database)
    second.save_state("vpn", second.state("vpn"))
    assert first.state("vpn").enrolment == EnrolmentState(revocation=revocation)


def test_a_revocation_without_the_database_outlasts_what_others_have_written(
    first: FleetStore, second: FleetStore, both: GatewayState, database: FleetDatabase
) -> None:
    revocation = revoked(second)
    let_in(database, connections=0)
    second.save_state("vpn", with_revocation(both, revocation))
    let_in(database)
    older = RevocationState(revocation.fingerprint, NOW, checked=NOW)  # a CRL lacks it as yet
    first.save_state("vpn", with_revocation(first.state("vpn"), older))
    assert second.state("vpn").enrolment == EnrolmentState(revocation=revocation)


def test_a_revocation_is_over_with_the_next_certificate(
    first: FleetStore, second: FleetStore, both: GatewayState
) -> None:
    with first.lease("vpn") as lease:
        open_order(first, lease, key_request())
        second.save_state("vpn", with_revocation(both, revoked(second)))
        first.add_version("vpn", issued(days=91), now=NOW)
    first.save_state("vpn", state(failures=1))
    assert second.copy_version("vpn", now=NOW) is not None
    assert second.state("vpn").enrolment == EnrolmentState(failures=1)


@pytest.mark.parametrize("why", ["another host knows better", "it may be taken back"])
def test_what_is_shared_of_a_revocation_counts_else(
    first: FleetStore, second: FleetStore, both: GatewayState, why: str
) -> None:
    mine = revoked(second)
    shared = RevocationState("of a certificate that has yet to be copied", NOW, checked=NOW)
    if why == "it may be taken back":
        mine = replace(mine, reason=RevocationReason.CERTIFICATE_HOLD)
        shared = RevocationState(mine.fingerprint, NOW, checked=NOW)
    first.save_state("vpn", with_revocation(GatewayState(), shared))
    second.save_state("vpn", with_revocation(both, mine))
    assert second.state("vpn").enrolment == EnrolmentState(revocation=shared)


# ------------------------------------------------------------------ orders


def test_a_limit_leaves_neither_intent_nor_expense(
    first: FleetStore, database: FleetDatabase
) -> None:
    first.schedule("vpn", URGENT, NOW)
    with first.lease("vpn") as lease:
        for number in range(5):
            assert open_order(first, lease, key_request(f"order-{number}"), FEW) is None
        reached = open_order(first, lease, key_request("order-5"), FEW)
        assert reached is not None
        assert reached.reason == "orders: 5 in 1 hour"
        assert len(first.requests("vpn")) == 5
        assert len(FileStore.requests(first, "vpn")) == 5
    assert len(first.counted_requests(URL)) == 5
    assert database.execute("SELECT count(*) FROM expense") == [(5,)]


def test_threads_of_two_hosts_never_exceed_a_limit(
    open_store: Open, database: FleetDatabase
) -> None:
    stores = [open_store(role) for role in (A, B)]
    many = Limits(orders=RateLimit(20, HOUR))

    def spend(number: int) -> int:
        store = stores[number % 2]
        return sum(store.count_requests(URL, ORDER, many) is None for _ in range(5))

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(spend, range(8))) == 20
    assert database.execute("SELECT count(*) FROM expense") == [(20,)]
    own = [len(FileStore.counted_requests(store, URL)) for store in stores]
    assert sum(own) == 20


def test_another_host_takes_over_the_key_of_an_order(first: FleetStore, second: FleetStore) -> None:
    mine = key_request()
    with first.lease("vpn") as lease:
        open_order(first, lease, mine)
    (found,) = second.requests("vpn")
    assert (found.id, found.private_key, found.csr) == (mine.id, mine.private_key, mine.csr)
    assert (found.generation, found.directory_url) == (1, URL)


def test_every_order_has_a_generation_of_its_own(first: FleetStore) -> None:
    with first.lease("vpn") as lease:
        for name in ("order-1", "order-2"):
            open_order(first, lease, key_request(name))
            first.remove_request("vpn", name)
        repeated = key_request("order-3")
        open_order(first, lease, repeated)
        open_order(first, lease, repeated)
        assert [each.generation for each in first.requests("vpn")] == [3]


def test_an_intent_is_left_to_the_host_that_orders(first: FleetStore, second: FleetStore) -> None:
    with first.lease("vpn") as lease:
        open_order(first, lease, key_request("order-1"))
        second.remove_request("vpn", "order-1")
        second.remove_request("vpn", "unknown")
        assert [each.id for each in first.requests("vpn")] == ["order-1"]
    second.remove_request("vpn", "order-1")
    assert first.requests("vpn") == ()


def test_requests_for_a_certificate_from_elsewhere_stay_on_their_host(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    request = key_request("custom-1")
    first.add_request("vpn", request)
    assert first.requests("vpn") == (request,)
    assert second.requests("vpn") == ()
    first.remove_request("vpn", "custom-1")
    assert first.requests("vpn") == ()
    assert database.execute("SELECT count(*) FROM intent") == [(0,)]


# ------------------------------------------------------------------ versions


@pytest.mark.parametrize("with_second", [False, True])
def test_every_host_copies_the_newest_version(
    first: FleetStore,
    second: FleetStore,
    with_second: bool,  # noqa: FBT001
) -> None:
    chain = issued(with_second=with_second)
    install(first, chain)
    copied = second.copy_version("vpn", now=NOW)
    assert copied is not None
    (mine,), (other,) = first.versions("vpn"), second.versions("vpn")
    assert other == copied
    assert replace(other, id=mine.id) == mine
    assert mine.generation == 1
    assert second.private_key(other) == chain.private_key
    if with_second:
        assert second.private_key(other, second=True) == first.private_key(mine, second=True)
        assert second.stored_root(other, second=True) == first.stored_root(mine, second=True) != b""
    assert second.copy_version("vpn", now=NOW) is None
    assert first.copy_version("vpn", now=NOW) is None


def test_a_host_that_was_down_copies_the_newest_only(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    for days in (80, 85, 90):
        newest = issued(days=days)
        install(first, newest)
    second.copy_version("vpn", now=NOW)
    (copied,) = second.versions("vpn")
    assert (copied.generation, copied.certificate) == (3, newest.certificate)
    for table in ("version", "intent"):
        assert database.execute(f"SELECT generation FROM {table}") == [(3,)]


def test_a_chain_is_stored_once_for_all_versions(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    before = issued()
    install(first, before)
    install(first, replace(issued(), chain=before.chain, root=before.root))
    assert database.execute("SELECT count(*) FROM issuer") == [(1,)]  # here, the chain is the root
    copied = second.copy_version("vpn", now=NOW)
    assert copied is not None
    assert (copied.chain, second.stored_root(copied)) == (before.chain, before.root)


def test_a_version_that_was_removed_is_not_copied_again(
    open_store: Open, first: FleetStore
) -> None:
    for days in (80, 90):
        install(first, issued(days=days))
        second = open_store(B)
        copied = second.copy_version("vpn", now=NOW)
        assert copied is not None
        second.remove_version(copied)
        for store in (second, open_store(B)):
            assert store.copy_version("vpn", now=NOW) is None
    second.state("vpn")
    with second.lease("vpn"):
        pass


def test_a_version_ends_lease_and_order(first: FleetStore, second: FleetStore) -> None:
    first.state("vpn")
    with first.database.transaction() as rows:
        lease_rows.schedule(rows, "vpn", Urgency(Priority.NONE), NOW - HOUR)
    with first.lease("vpn") as lease:
        open_order(first, lease, key_request("order-1"))
        first.add_version("vpn", issued(), now=NOW)
        assert not lease.is_held
        with second.database.transaction() as rows:
            assert lease_rows.claim_most_urgent(rows, LENGTH) is None  # until it is due again
        assert second.requests("vpn") == ()
        second.copy_version("vpn", now=NOW)
        with second.lease("vpn"):
            pass
        first.save_state("vpn", state(failures=0))
        first.remove_request("vpn", "order-1")
    assert first.requests("vpn") == ()


def test_certificates_from_elsewhere_stay_on_their_host(
    first: FleetStore, second: FleetStore
) -> None:
    with first.lease("vpn"):
        first.add_version("vpn", replace(issued(), origin=Origin.IMPORTED), now=NOW)
    first.add_version("vpn", issued(), now=NOW)
    assert second.copy_version("vpn", now=NOW) is None
    assert [version.generation for version in first.versions("vpn")] == [0, 0]


# ------------------------------------------------------------------ certificates of members


def test_each_host_keeps_what_it_knows_of_a_certificate_of_its_own(
    open_store: Open, database: FleetDatabase
) -> None:
    mine, own = open_store(A, unshared=("vpn",)), open_store(B, unshared=("vpn",))
    known = {
        store: EnrolmentState(
            renewal=RenewalInfo(f"a.{name}", NOW + HOUR, renew_at=NOW + HOUR),
            revocation=RevocationState(name, NOW),
        )
        for store, name in ((mine, "a"), (own, "b"))
    }
    for store, enrolment in known.items():
        with store.lock_gateway("vpn", "testing", wait=0):
            assert store.state("vpn") == GatewayState()
            store.save_state("vpn", GatewayState(enrolment))
            store.add_request("vpn", key_request("csr-1"))
            store.add_version("vpn", replace(issued(), origin=Origin.IMPORTED), now=NOW)
    for store, enrolment in known.items():
        assert store.state("vpn").enrolment == enrolment
        assert len(store.requests("vpn")) == len(store.versions("vpn")) == 1
        assert store.copy_version("vpn", now=NOW) is None
    mine.remove_request("vpn", "csr-1")
    assert mine.requests("vpn") == ()
    assert len(own.requests("vpn")) == 1
    mine.database.close()
    assert mine.records() == ()  # which connects
    assert database.execute("SELECT name FROM gateway") == []
    again = open_store(A, unshared=("vpn",))
    assert again.state("vpn").enrolment == known[mine]


def test_a_host_lets_go_of_a_gateway_that_is_not_shared_any_more(
    open_store: Open, first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    install(first, issued())
    with first.lease("vpn") as lease:
        open_order(first, lease, key_request("order-2"))
        first.save_state("vpn", state(failures=3))
    own = open_store(B, unshared=("vpn",))
    assert own.state("vpn") == GatewayState()
    own.save_state("vpn", state(failures=1))
    assert own.requests("vpn") == ()
    own.remove_request("vpn", "order-2")
    assert own.copy_version("vpn", now=NOW) is None
    own.report_deployment("vpn", 1, DeploymentOutcome.PROVEN)
    assert own.roll_out("vpn", 1) is None
    view = own.cluster_view(["vpn", "other"])
    assert isinstance(view, ClusterView)
    assert view.rollouts == {}
    assert database.execute("SELECT host FROM deployment") == []
    assert second.state("vpn").enrolment == EnrolmentState(failures=3)
    assert [each.id for each in second.requests("vpn")] == ["order-2"]


# ------------------------------------------------------------------ accounts and challenges


def account(url: str = "") -> Account:
    private_key = key.generate(KeyType.ECDSA_P256)
    return Account(private_key, url, URL if url else "", ("mailto:ops@example.com",))


def test_hosts_share_an_account(first: FleetStore, second: FleetStore) -> None:
    mine = account()
    first.save_account("letsencrypt", mine)
    registered = replace(mine, url="https://ca.example/1", directory_url=URL)
    first.save_account("letsencrypt", registered)
    assert second.account("letsencrypt") == registered
    assert second.account("another") is None


def test_of_two_accounts_the_first_stays(first: FleetStore, second: FleetStore) -> None:
    mine = account("https://ca.example/1")
    assert first.account("letsencrypt") is second.account("letsencrypt") is None
    first.save_account("letsencrypt", mine)
    with pytest.raises(StorageError, match="another host"):
        second.save_account("letsencrypt", account("https://ca.example/2"))
    assert second.account("letsencrypt") == mine


def test_a_key_rollover_goes_on_at_another_host(first: FleetStore, second: FleetStore) -> None:
    mine, later = account("https://ca.example/1"), account()
    first.save_account("letsencrypt", mine)
    first.save_next_key("letsencrypt", later.private_key)
    assert second.next_key("letsencrypt") == later.private_key
    assert second.account("letsencrypt") == mine
    second.save_account("letsencrypt", replace(mine, private_key=later.private_key))
    second.remove_next_key("letsencrypt")
    second.remove_next_key("letsencrypt")
    assert first.next_key("letsencrypt") is None
    changed = first.account("letsencrypt")
    assert changed is not None
    assert changed.private_key == later.private_key


def test_a_retired_account_gives_way_to_a_new_one(first: FleetStore, second: FleetStore) -> None:
    first.save_account("letsencrypt", account("https://ca.example/1"))
    second.retire_account("letsencrypt")
    second.retire_account("letsencrypt")
    assert first.account("letsencrypt") is None
    later = account("https://ca.example/2")
    second.save_account("letsencrypt", later)
    assert first.account("letsencrypt") == later


def test_a_host_removes_no_token_that_another_presents(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    first.put_token("http-01", "token", "token.thumbprint")
    second.remove_token("http-01", "token")
    assert database.execute("SELECT token, host FROM token") == [("token", "gw-a")]
    second.put_token("http-01", "token", "token.thumbprint")  # it has taken the order over
    first.remove_token("http-01", "token")
    assert database.execute("SELECT token, host FROM token") == [("token", "gw-b")]
    second.remove_token("http-01", "token")
    assert database.execute("SELECT token FROM token") == []


def test_a_dead_hosts_records_are_withdrawn_by_another(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    record = TextRecord("_acme-challenge.vpn.example.com", "value", "example.com")
    with first.lease("vpn"):
        published = first.add_record(record, now=NOW)
    (seen,) = second.records()
    assert (seen.id, seen.record, seen.abandoned) == (published.id, record, False)
    database.execute("UPDATE host SET seen = seen - interval '11 minutes'")
    assert [each.abandoned for each in second.records()] == [True]
    assert [each.abandoned for each in first.records()] == [False]  # its process is alive
    second.remove_record(seen)
    assert second.records() == ()
    first.remove_record(published)
    assert first.records() == ()


def test_a_record_that_is_published_meanwhile_does_not_count_as_abandoned(
    first: FleetStore,
) -> None:
    with ThreadPoolExecutor(1) as threads:
        records = [TextRecord("_acme-challenge.vpn.example.com", str(n), "") for n in range(100)]
        publishing = threads.submit(lambda: [first.add_record(each, now=NOW) for each in records])
        while not publishing.done():
            assert not [record for record in first.records() if record.abandoned]
    assert len(first.records()) == len(records)


def test_a_record_that_could_not_be_withdrawn_is_left_to_any_host(
    first: FleetStore, second: FleetStore
) -> None:
    record = TextRecord("_acme-challenge.vpn.example.com", "value", "example.com")
    with first.lease("vpn"):
        first.abandon_record(first.add_record(record, now=NOW))
    assert [each.abandoned for each in second.records()] == [True]
    (found,) = second.records()
    second.abandon_record(found)
    second.remove_record(found)
    assert second.records() == ()


# ------------------------------------------------------------------ keys and damage


def dumped(database: FleetDatabase) -> bytes:
    """Return everything that is in the database, as `pg_dump` writes it."""
    server = database.server
    options = (f"--host={server.sockets}", f"--port={server.port}", f"--username={OWNER}")
    argv = [postgres_program("pg_dump"), *options, "--data-only", "--inserts", database.name]
    return subprocess.run(argv, check=True, capture_output=True, timeout=60).stdout


def test_a_dump_opens_nothing(first: FleetStore, database: FleetDatabase) -> None:
    mine, chain, later = account("https://ca.example/1"), issued(with_second=True), account()
    first.save_account("letsencrypt", mine)
    first.save_next_key("letsencrypt", later.private_key)
    install(first, chain)
    request = key_request("order-2")
    with first.lease("vpn") as lease:
        open_order(first, lease, request)
    dump = dumped(database)
    second = chain.second
    assert second is not None
    assert chain.certificate.splitlines()[1] in dump  # it has everything else
    for secret in (mine, later, chain, second, request):
        text = secret.private_key.splitlines()[1]
        for form in (text, text.hex().encode(), b64decode(text).hex().encode()):
            assert form not in dump


def test_a_host_without_the_sealing_key_says_so(open_store: Open, first: FleetStore) -> None:
    first.save_account("letsencrypt", account("https://ca.example/1"))
    with first.lease("vpn") as lease:
        open_order(first, lease, key_request())
    other = open_store(B, sealing_keys=("another",))
    for read in (lambda: other.account("letsencrypt"), lambda: other.requests("vpn")):
        with pytest.raises(SealingKeyMissingError, match="sealed with a key"):
            read()
    install(first, issued())
    with pytest.raises(SealingKeyMissingError, match="generation 2 of gateway vpn"):
        other.copy_version("vpn", now=NOW)
    assert other.versions("vpn") == ()


def test_sealing_keys_change_one_host_after_the_other(open_store: Open) -> None:
    install(open_store(A, sealing_keys=("old",)), issued(days=80))
    both = open_store(B, sealing_keys=("old", "new"))
    assert both.copy_version("vpn", now=NOW) is not None
    install(open_store(A, sealing_keys=("new", "old")), issued(days=90))
    assert both.copy_version("vpn", now=NOW) is not None


GARBAGE = {
    "key": ("UPDATE version SET sealed_key = (SELECT sealed_key FROM account)", "copy_version"),
    "certificate": ("UPDATE version SET certificate = 'garbage'", "copy_version"),
    "chain": (
        "ALTER TABLE issuer DROP CONSTRAINT issuer_check; UPDATE issuer SET pem = 'garbage'",
        "copy_version",
    ),
    "fingerprint": ("UPDATE version SET fingerprint = 'garbage'", "copy_version"),
    "second key": ("UPDATE version SET sealed_second_key = sealed_key", "copy_version"),
    "csr": ("UPDATE intent SET csr = 'garbage' WHERE closed IS NULL", "requests"),
    "intent's key": (
        "UPDATE intent SET sealed_key = (SELECT sealed_key FROM account) WHERE closed IS NULL",
        "requests",
    ),
    "sealed": ("UPDATE account SET sealed_key = 'garbage'", "account"),
}


@pytest.mark.parametrize(("statement", "read"), GARBAGE.values(), ids=list(GARBAGE))
def test_a_damaged_row_is_reported_and_never_taken_for_an_empty_one(
    first: FleetStore, second: FleetStore, database: FleetDatabase, statement: str, read: str
) -> None:
    first.save_account("vpn", account("https://ca.example/1"))
    install(first, issued(with_second=True))
    with first.lease("vpn") as lease:
        first.save_state("vpn", state(failures=1))
        open_order(first, lease, key_request("order-2"))
    reads: dict[str, Callable[[], object]] = {
        "copy_version": lambda: second.copy_version("vpn", now=NOW),
        "requests": lambda: second.requests("vpn"),
        "account": lambda: second.account("vpn"),
    }
    database.execute(statement)
    with pytest.raises(StorageError) as caught:
        reads[read]()
    assert not isinstance(caught.value, DatabaseError)  # which would mean that it is away
    assert "vpn" in str(caught.value)
    assert second.versions("vpn") == ()


DAMAGED_STATES = {
    "value": '{"schema": 1, "failures": "many"}',
    "other schema": '{"schema": 9}',
    "no schema": '{"failures": 1}',
}


@pytest.mark.parametrize("text", DAMAGED_STATES.values(), ids=list(DAMAGED_STATES))
def test_with_a_damaged_state_a_host_serves_on_and_orders_nothing_for_its_gateway(
    open_store: Open, first: FleetStore, database: FleetDatabase, text: str
) -> None:
    install(first, issued())
    first.save_state("vpn", state(failures=1))
    stored = "SELECT enrolment FROM gateway WHERE name = 'vpn'"
    before = database.execute("SELECT enrolment::text FROM gateway WHERE name = 'vpn'")[0][0]
    damage = f"UPDATE gateway SET enrolment = '{text}' WHERE name = 'vpn'"
    database.execute(damage)
    after = database.execute(stored)

    newcomer = open_store(B)
    for host, failures in ((first, 1), (newcomer, 0)):
        known = host.state("vpn")
        assert known.enrolment.failures == failures
        with pytest.raises(EnrolmentDamagedError, match="state of gateway vpn in the fleet"):
            host.check_enrolment("vpn")
        with pytest.raises(EnrolmentDamagedError), host.lease("vpn"):
            pass
        learnt = replace(known, enrolment=replace(known.enrolment, failed_at=NOW))
        host.save_state("vpn", learnt)
        assert host.state("vpn") == learnt
        host.state("mail")
        host.check_enrolment("mail")
        with host.lease("mail"):
            pass
    assert newcomer.copy_version("vpn", now=NOW) is not None
    assert database.execute(stored) == after

    database.execute(f"UPDATE gateway SET enrolment = '{before}' WHERE name = 'vpn'")
    assert first.state("vpn").enrolment == EnrolmentState(failures=1, failed_at=NOW)
    first.check_enrolment("vpn")
    with first.lease("vpn"):
        pass
    assert newcomer.state("vpn").enrolment == EnrolmentState(failures=1)


def test_a_damaged_state_is_no_reason_to_spare_the_database(first: FleetStore) -> None:
    problem = DatabaseProblem(NOW, EnrolmentDamagedError.code, "it is damaged")
    first.save_state("vpn", GatewayState(host=HostState(database=problem)))
    first.spare_database(["vpn"])
    assert isinstance(first.cluster_view(["vpn"]), ClusterView)


# ------------------------------------------------------------------ a database that was away


def let_in(database: FleetDatabase, connections: int = -1) -> None:
    """Let hosts connect, or end their connections and let none in."""
    database.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT {connections}")
    if not connections:
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_what_a_host_learns_without_the_database_outlives_its_process(
    open_store: Open, first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    with first.lease("vpn"):
        first.save_state("vpn", state(failures=1))
    let_in(database, connections=0)
    first.save_state("vpn", state(failures=2))
    later = open_store(A)
    assert later.state("vpn") == state(failures=2)
    later.save_state("vpn", state(failures=3))
    let_in(database)
    for store in (later, open_store(A)):
        assert store.state("vpn") == state(failures=3)
    later.save_state("vpn", state(failures=3))
    assert second.state("vpn").enrolment == EnrolmentState(failures=3)


def test_what_a_host_has_learnt_does_not_undo_what_another_one_has_written(
    open_store: Open, first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    first.save_state("vpn", state(failures=1))
    let_in(database, connections=0)
    first.save_state("vpn", state(failures=2))
    let_in(database)
    for failures in (9, 1):  # in the end as before
        second.save_state("vpn", replace(second.state("vpn"), enrolment=EnrolmentState(failures)))
        assert open_store(A).state("vpn") == state(failures)


def test_what_fails_during_an_order_outlives_the_process(
    open_store: Open, first: FleetStore, database: FleetDatabase
) -> None:
    first.state("vpn")
    with first.lease("vpn"):
        first.save_state("vpn", state(failures=1))
        let_in(database, connections=0)
        with pytest.raises(DatabaseError):
            first.save_state("vpn", state(failures=2))
    let_in(database)
    assert open_store(A).state("vpn") == state(failures=2)


def test_a_host_that_starts_without_the_database_loses_nothing_when_it_is_back(
    open_store: Open, first: FleetStore, database: FleetDatabase
) -> None:
    first.save_state("vpn", state(failures=1))
    let_in(database, connections=0)
    later = open_store(A)
    assert later.state("vpn") == state(failures=1)
    let_in(database)  # in the middle of a pass, which has read no row
    later.save_state("vpn", state(failures=2))
    for store in (later, open_store(A)):
        assert store.state("vpn") == state(failures=2)


def test_without_the_database_a_host_serves_on_and_orders_nothing(
    first: FleetStore, database: FleetDatabase
) -> None:
    install(first, issued())
    with first.lease("vpn"):
        first.save_state("vpn", state(failures=1))
    first.add_request("vpn", key_request("custom-1"))
    let_in(database, connections=0)
    assert first.state("vpn") == state(failures=1)
    first.save_state("vpn", state(failures=2))
    assert first.state("vpn") == state(failures=2)
    assert len(first.versions("vpn")) == 1
    assert [each.id for each in first.requests("vpn")] == ["custom-1"]
    assert first.records() == ()
    with pytest.raises(DatabaseError), first.lease("vpn"):
        pass
    with pytest.raises(DatabaseError):
        first.count_requests(URL, ORDER, NONE)
    assert len(first.counted_requests(URL)) == 1


SHARED_TABLES = ("gateway", "intent", "version", "expense", "account", "authority", "host")
NEXT_RELEASE = (  # expands the schema
    *(f"ALTER TABLE {each} ADD COLUMN newer text NOT NULL DEFAULT ''" for each in SHARED_TABLES),
    "CREATE TABLE newer (cluster text PRIMARY KEY)",
    "UPDATE alembic_version SET version_num = '2'",
)


def test_a_cluster_works_while_the_next_release_expands_and_contracts_the_schema(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    install(first, issued(days=80))
    second.copy_version("vpn", now=NOW)
    database.execute(*NEXT_RELEASE)  # the hosts are connected
    install(first, issued(days=85))
    assert second.copy_version("vpn", now=NOW) is not None
    for store in (first, second):
        store.database.close()
    install(second, issued(days=90))
    copied = first.copy_version("vpn", now=NOW)
    assert copied is not None
    assert copied.generation == 3
    assert database.execute("SELECT count(DISTINCT id) FROM expense") == [(3,)]

    database.execute("UPDATE fleet SET oldest_schema = 2")
    first.database.close()
    with pytest.raises(SchemaUnknownError), first.lease("vpn"):
        pass
    assert first.state("vpn") == GatewayState()
    assert max(version.generation for version in first.versions("vpn")) == 3


def test_a_host_sends_again_what_a_server_has_lost(
    open_store: Open, second: FleetStore, database: FleetDatabase
) -> None:
    first = open_store(A)
    chain, request = issued(), key_request("order-2")
    install(first, chain)
    with first.lease("vpn") as lease:
        open_order(first, lease, request)
    everything = (
        "SELECT directory_url, kind, counted_by, value, id, at, host FROM expense ORDER BY id"
    )
    expenses = database.execute(everything)
    assert len(expenses) == 2
    for table in ("expense", "authority", "version", "intent", "gateway"):
        database.execute(f"DELETE FROM {table}")
    for _ in range(2):
        first.database.close()
        assert [each.id for each in first.requests("vpn")] == ["order-2"]
        assert database.execute(everything) == expenses
        assert database.execute("SELECT generation FROM version") == [(1,)]
    assert second.copy_version("vpn", now=NOW) is not None
    assert second.requests("vpn")[0].private_key == request.private_key
    database.execute("DELETE FROM version", "UPDATE gateway SET generation = 2")
    first.database.close()
    assert first.state("vpn").enrolment == EnrolmentState()
    assert database.execute("SELECT generation FROM version") == []  # another host has a newer one


def test_what_was_told_before_a_server_was_lost_is_told_again(
    first: FleetStore, database: FleetDatabase
) -> None:
    def tell() -> None:
        first.schedule("vpn", Urgency(Priority.RENEWAL, NOW, NOW), NOW)
        first.report_deployment("vpn", 1, DeploymentOutcome.ROLLED_BACK, "reload failed")

    told = "SELECT outcome, due FROM deployment JOIN gateway ON name = gateway"
    first.begin_to_write()
    tell()
    assert database.execute(told) == [("rolled-back", NOW)]
    database.execute("DELETE FROM deployment", "DELETE FROM gateway", "SELECT 1")
    first.database.close()
    first.state("vpn")
    tell()
    assert database.execute(told) == [("rolled-back", NOW)]


DAMAGE: dict[str, Callable[[Path], object]] = {
    "certificate": lambda version: change_base64(version, "cert.pem"),
    "root": lambda version: (version / "root.pem").write_bytes(bytes(1000)),
}


def change_base64(version: Path, name: str) -> None:
    """Change characters of a certificate, which stays PEM."""
    for path in (version / name, version / "fullchain.pem"):
        path.write_text(path.read_text().replace("\nMII", "\nAAA", 1))


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
def test_a_damaged_file_keeps_nothing_else_from_being_sent_again(
    first: FleetStore,
    database: FleetDatabase,
    tmp_path: Path,
    damage: Callable[[Path], object],
) -> None:
    names = [f"gateway-{number}" for number in range(6)]
    for name in names:
        first.add_generation(name, issued(), 1, now=NOW)
    first.begin_to_write()
    (version,) = (tmp_path / A / "gateways" / "gateway-3" / "versions").iterdir()
    damage(version)
    first.state("vpn")
    connected = first.database.session
    sent = "SELECT gateway FROM version ORDER BY 1"
    names.remove("gateway-3")
    assert database.execute(sent) == [(name,) for name in names]
    first.state("vpn")
    assert first.database.session is connected  # it is tried again later only


def test_what_could_not_be_read_is_sent_again_after_a_while(
    first: FleetStore,
    database: FleetDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending_again, "SENT_LATER", 0.0)
    first.add_generation("vpn", issued(), 1, now=NOW)
    (version,) = (tmp_path / A / "gateways" / "vpn" / "versions").iterdir()
    intact = {path: path.read_bytes() for path in version.iterdir()}
    change_base64(version, "cert.pem")
    first.begin_to_write()
    first.state("vpn")
    for path, data in intact.items():
        path.write_bytes(data)
    first.state("vpn")
    assert database.execute("SELECT gateway FROM version") == [("vpn",)]


class SlowStore(FleetStore):
    """A store whose counted requests take long to read, which are sent again."""

    def __init__(self, directory: Path, place: FleetHost) -> None:
        super().__init__(directory, place, pause=0.0)
        self.sending, self.go_on = Event(), Event()
        self.times_sent = 0

    def counted_requests(self, directory_url: str) -> tuple[CountedRequest, ...]:
        self.times_sent += 1
        self.sending.set()
        assert self.go_on.wait(10)
        return super().counted_requests(directory_url)


def test_threads_that_wait_for_what_is_sent_again_use_the_same_connection(
    first: FleetStore, tmp_path: Path
) -> None:
    assert first.count_requests(URL, ORDER, NONE) is None
    store = SlowStore(tmp_path / A, first.place)
    store.begin_to_write()
    threads = [Thread(target=store.state, args=("vpn",)) for _ in range(4)]
    threads[0].start()
    assert store.sending.wait(10)
    for thread in threads[1:]:
        thread.start()
    store.go_on.set()
    for thread in threads:
        thread.join()
    assert store.times_sent == 1
    store.database.close()


def begins_with_a_lock(store: FleetStore) -> None:
    with store.lock_gateway("other", "testing", wait=0):
        store.state("other")


def begins_with_a_lease(store: FleetStore) -> None:
    with store.lease("other"):
        pass


def begins_with_a_count(store: FleetStore) -> None:
    once = Limits(orders=RateLimit(1, HOUR))
    assert store.count_requests(URL, ORDER, once) is not None  # what was lost is counted first


def begins_in_the_field(store: FleetStore) -> None:
    with FieldStore(store, lambda: NOW).claimed() as claimed:
        assert claimed is None


@pytest.mark.parametrize(
    "begin",
    [begins_with_a_lock, begins_with_a_lease, begins_with_a_count, begins_in_the_field],
)
def test_only_a_process_that_writes_sends_again(
    open_store: Open, database: FleetDatabase, begin: Callable[[FleetStore], None]
) -> None:
    rows = "SELECT (SELECT count(*) FROM version), (SELECT count(*) FROM expense)"
    install(open_store(A), issued())
    assert database.execute(rows) == [(1, 1)]
    for table in ("expense", "authority", "version", "intent", "gateway"):
        database.execute(f"DELETE FROM {table}")
    store = open_store(A)
    for _ in range(2):
        store.database.close()
        assert store.state("vpn") == GatewayState()
        assert store.requests("vpn") == ()
        assert isinstance(store.cluster_view(["vpn"]), ClusterView)
        assert database.execute(rows) == [(0, 0)]
    for _ in range(2):  # and after a connection that is lost later
        begin(store)
        assert database.execute(rows) == [(1, 1)]
        database.execute("DELETE FROM expense", "DELETE FROM version")
        store.database.close()
        assert store.requests("vpn") == ()
        assert database.execute(rows) == [(1, 1)]


def test_what_was_counted_before_the_fleet_is_sent_once(
    open_store: Open, database: FleetDatabase, tmp_path: Path
) -> None:
    """Files count orders without an id, which rows need."""
    for _ in range(2):
        FileStore(tmp_path / A).count_requests(URL, ORDER, NONE)
    database.execute(f"INSERT INTO authority (directory_url) VALUES ('{URL}')")
    store = open_store(A)
    for _ in range(2):
        store.database.close()
        with store.lock_gateway("vpn", "testing", wait=0):
            assert store.state("vpn") == GatewayState()
    group = RequestGroup(RequestKind.ORDER, CountedBy.ACCOUNT, "https://ca.example/1")
    assert store.instants(URL, group, since=NOW - HOUR, now=NOW, count=10) == [NOW, NOW]


@pytest.mark.parametrize(("age", "sent"), [(LONGEST_PERIOD - HOUR, 1), (LONGEST_PERIOD + HOUR, 0)])
def test_a_database_that_was_restored_gets_what_a_limit_may_count_again(
    first: FleetStore, database: FleetDatabase, age: timedelta, sent: int
) -> None:
    (order,) = ORDER.counted
    first.take_over_requests(URL, [replace(order, at=NOW - age)])
    database.execute(f"INSERT INTO authority (directory_url) VALUES ('{URL}')")
    first.begin_to_write()
    first.state("vpn")
    assert database.execute("SELECT count(*) FROM expense") == [(sent,)]


def test_a_database_that_was_restored_gets_the_newest_version_again(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    install(first, issued(days=80))
    backup = ("version", "gateway")
    for table in backup:
        database.execute(f"CREATE TABLE yesterdays_{table} AS SELECT * FROM {table}")
    newest = issued(days=90)
    install(first, newest)
    database.execute(
        "DELETE FROM intent",
        "DELETE FROM version",
        "DELETE FROM gateway",
        *(f"INSERT INTO {each} SELECT * FROM yesterdays_{each}" for each in reversed(backup)),
    )
    assert first.copy_version("vpn", now=NOW) is None
    assert database.execute("SELECT max(generation) FROM version") == [(2,)]
    copied = second.copy_version("vpn", now=NOW)
    assert copied is not None
    assert (copied.generation, copied.certificate) == (2, newest.certificate)


@pytest.mark.parametrize(("is_revoked", "of_newest"), [(True, True), (False, True), (True, False)])
def test_no_host_waits_with_what_replaces_a_revoked_certificate(
    first: FleetStore,
    second: FleetStore,
    is_revoked: bool,  # noqa: FBT001
    of_newest: bool,  # noqa: FBT001
) -> None:
    install(first, issued(days=80))
    (newest,) = first.versions("vpn")
    fingerprint = version_rows.fingerprint_of(newest.certificate) if of_newest else "of before"
    revocation = RevocationState(fingerprint, NOW, revoked=NOW if is_revoked else None)
    first.state("vpn")
    first.save_state("vpn", GatewayState(EnrolmentState(revocation=revocation)))
    install(first, issued(days=90))
    found = second.roll_out("vpn", 2)
    assert found is not None
    assert found.is_urgent is (is_revoked and of_newest)


def test_a_version_whose_row_is_lost_is_written_again(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    install(first, issued())
    database.execute("DELETE FROM version")
    assert first.copy_version("vpn", now=NOW) is None
    assert second.copy_version("vpn", now=NOW) is not None


@pytest.mark.parametrize(("days", "generation"), [(80, 3), (100, 2)])
def test_of_two_versions_of_one_generation_the_one_that_ends_later_is_for_all(
    first: FleetStore, second: FleetStore, database: FleetDatabase, days: int, generation: int
) -> None:
    """The first host has one of 90 days, and the database another one, of the second host."""
    own, other = issued(days=90), issued(days=days)
    install(first, issued(days=60))
    second.copy_version("vpn", now=NOW)
    install(first, own)
    database.execute(
        "DELETE FROM version", "DELETE FROM intent", "UPDATE gateway SET generation = 1"
    )
    install(second, other)
    assert database.execute("SELECT generation FROM version") == [(2,)]

    for _ in range(3):
        for store in (first, second):
            store.copy_version("vpn", now=NOW)
    later = own if days < 90 else other
    for store, kept in ((first, own), (second, other)):
        newest = store.versions("vpn")[0]
        assert (newest.certificate, newest.generation) == (later.certificate, generation)
        assert kept.certificate in {each.certificate for each in store.versions("vpn")}
        assert len(store.versions("vpn")) <= 3


def test_a_version_of_two_waits_while_another_host_orders(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    install(first, issued(days=90))
    database.execute(
        "DELETE FROM version", "DELETE FROM intent", "UPDATE gateway SET generation = 0"
    )
    install(second, issued(days=80))
    second.state("vpn")
    with second.lease("vpn") as lease:
        open_order(second, lease, key_request("order-2"))
        assert first.copy_version("vpn", now=NOW) is None
        lease.check()
        assert [each.id for each in second.requests("vpn")] == ["order-2"]
    assert first.copy_version("vpn", now=NOW) is not None


def test_a_version_is_not_sent_again_while_another_host_orders(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    install(first, issued())
    database.execute(
        "DELETE FROM version", "DELETE FROM intent", "UPDATE gateway SET generation = 0"
    )
    second.state("vpn")
    with second.lease("vpn") as lease:
        open_order(second, lease, key_request("order-2"))
        first.database.close()
        first.state("vpn")
        assert first.copy_version("vpn", now=NOW) is None
        lease.renew()
        assert lease.is_held
        assert [each.id for each in second.requests("vpn")] == ["order-2"]
    first.copy_version("vpn", now=NOW)
    assert database.execute("SELECT generation FROM version") == [(1,)]


def test_what_replaces_a_revoked_certificate_stays_urgent_when_it_is_sent_later(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    install(first, issued(days=80))
    fingerprint = version_rows.fingerprint_of(first.versions("vpn")[0].certificate)
    revocation = RevocationState(fingerprint, NOW, revoked=NOW)
    first.save_state("vpn", GatewayState(EnrolmentState(revocation=revocation)))
    first.state("vpn")
    with first.lease("vpn") as lease:
        open_order(first, lease, key_request())
        database.execute("REVOKE INSERT ON version FROM gatecert_host")
        first.add_version("vpn", issued(days=90), now=NOW)
        database.execute("GRANT INSERT ON version TO gatecert_host")
    first.copy_version("vpn", now=NOW)
    second.copy_version("vpn", now=NOW)
    urgent = "SELECT details ->> 'is_urgent' FROM version WHERE generation = 2"
    for sender in (first, second):  # each has it in its own files
        assert database.execute(urgent) == [("true",)]
        database.execute("DELETE FROM version")
        sender.copy_version("vpn", now=NOW)
    assert database.execute(urgent) == [("true",)]


def test_a_version_that_could_not_be_written_is_sent_later(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    first.state("vpn")
    with first.lease("vpn") as lease:
        open_order(first, lease, key_request())
        database.execute("REVOKE INSERT ON version FROM gatecert_host")
        first.add_version("vpn", issued(), now=NOW)
        assert [version.generation for version in first.versions("vpn")] == [1]
        assert second.copy_version("vpn", now=NOW) is None
        database.execute("GRANT INSERT ON version TO gatecert_host")
    copied = second.copy_version("vpn", now=NOW)
    assert copied is not None
    assert copied.generation == 1


def test_an_order_whose_commit_is_unknown_is_opened_once(open_store: Open, pair: Pair) -> None:
    first = open_store(A, fleet=pair.fleet)
    first.state("vpn")
    request = key_request()
    with first.lease("vpn") as lease:
        pair.standby.freeze()
        with pytest.raises(CommitUnknownError):
            open_order(first, lease, request)
        pair.standby.thaw()
        wait_until(lambda: opens(first, lease, request), "the standby", seconds=60)
        assert [each.id for each in first.requests("vpn")] == [request.id]
    assert pair.fleet.execute("SELECT count(*) FROM intent") == [(1,)]
    ((counted,),) = pair.fleet.execute("SELECT count(*) FROM expense")
    assert counted == len(first.counted_requests(URL))  # each attempt, which is never too few


def opens(store: FleetStore, lease: HeldLease, request: KeyRequest) -> bool:
    try:
        return open_order(store, lease, request) is None
    except DatabaseError:
        return False


def test_what_was_acknowledged_survives_the_primary(open_store: Open, pair: Pair) -> None:
    first, second = open_store(A, fleet=pair.fleet), open_store(B, fleet=pair.fleet)
    install(first, issued())
    with first.lease("vpn") as lease:
        open_order(first, lease, key_request("order-2"))
        pair.primary.crash()
        pair.standby.promote()
        pair.standby.execute("ALTER SYSTEM RESET synchronous_standby_names")
        wait_until(lambda: opens(first, lease, key_request("order-3")), "failover", seconds=60)
        lease.check()
        assert [each.id for each in second.requests("vpn")] == ["order-3", "order-2"]
    copied = second.copy_version("vpn", now=NOW)
    assert copied is not None
    assert copied.generation == 1
