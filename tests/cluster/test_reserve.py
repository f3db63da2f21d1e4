"""The order that a host may place without the database: who has it, and what becomes of it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import pytest
from tests.fakes.pki import Pki

from gatecert.deadline import Deadline
from gatecert.errors import DatabaseAwayError, DatabaseError
from gatecert.model import (
    CountedRequest,
    EnrolmentState,
    Expenses,
    GatewayState,
    IssuedChain,
    Limits,
    OrderHeld,
    Origin,
    RateLimit,
    RequestKind,
    RevocationState,
    TextRecord,
)
from gatecert.model.fleet import Replacement
from gatecert.store.file_store import FileStore
from gatecert.store.postgres.exporting import Export
from gatecert.store.postgres.fleet_store import FleetStore
from gatecert.store.postgres.version_rows import fingerprint_of

from .configured_host import GATEWAY, sealing_key
from .single_host import CA, URL, account, key_request, pending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import FleetDatabase

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
PKI = Pki()
OLD = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
NAMES = ("vpn.example.com",)
RENEWAL = Replacement(CA, OLD, NAMES)
EXEMPT = Expenses(NOW, following=(CountedRequest(RequestKind.REPLACEMENT, NOW, names=NAMES),))
COUNTED = Expenses(NOW, (CountedRequest(RequestKind.ORDER, NOW, account="https://ca.example/1"),))
ISSUED = Expenses(NOW, (CountedRequest(RequestKind.REPLACEMENT, NOW, "order 1", names=NAMES),))
FEW = Limits(replacements=RateLimit(1, timedelta(hours=1)))
A, B = "hq-gw-a", "hq-gw-b"


class Open(Protocol):
    """A function that opens the store of a host, again on the same directory after a restart."""

    def __call__(self, role: str, *, reserve: int = 1) -> FleetStore: ...


@pytest.fixture
def open_store(database: FleetDatabase, tmp_path: Path) -> Iterator[Open]:
    opened: list[FleetStore] = []

    def open_store(role: str, *, reserve: int = 1) -> FleetStore:
        keys = (sealing_key(tmp_path, "seal"),)
        place = replace(database.place(role), sealing_keys=keys, reserve=reserve)
        opened.append(FleetStore(tmp_path / role, place, pause=0.0))
        return opened[-1]

    yield open_store
    for store in opened:
        store.database.close()


@pytest.fixture
def first(open_store: Open) -> FleetStore:
    """A host that has ordered generation 1, with the account of the cluster."""
    store = open_store(A)
    store.save_account(CA, account())
    order(store, chain())
    return store


@pytest.fixture
def second(open_store: Open, first: FleetStore) -> FleetStore:
    """A host that has copied it."""
    del first
    store = open_store(B)
    assert store.copy_version(GATEWAY, now=NOW) is not None
    return store


def chain(*, days: int = 90) -> IssuedChain:
    root = PKI.root()
    leaf = PKI.issue(f"vpn for {days} days", root, end=NOW + days * DAY)
    return IssuedChain(leaf.key_pem, leaf.pem, root.pem, Origin.AUTHORITY, root=root.pem)


def order(store: FleetStore, issued: IssuedChain, gateway: str = GATEWAY) -> int:
    """Order and install through the database; return the generation."""
    store.state(gateway)
    request = key_request(f"order-{len(store.versions(gateway)) + 1}")
    with store.lease(gateway) as lease:
        assert store.open_order(gateway, request, URL, EXEMPT, Limits(), lease=lease) is None
        return store.add_version(gateway, issued, now=NOW).generation


def place(store: FleetStore, issued: IssuedChain) -> int:
    """Place the reserved order, and install what it yields; return the generation."""
    held = store.reserved_lease(GATEWAY, OLD)
    assert held is not None
    request = key_request("order-reserved")
    with held as lease:
        assert store.open_order(GATEWAY, request, URL, EXEMPT, Limits(), lease=lease) is None
        version = store.add_version(GATEWAY, issued, now=NOW)
        store.remove_request(GATEWAY, request.id)
    return version.generation


def cut(database: FleetDatabase) -> None:
    """Let no host in."""
    database.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def restore(database: FleetDatabase) -> None:
    database.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT -1")


def row(database: FleetDatabase) -> tuple[object, ...]:
    """The newest generation, the reserved one, and whose it is."""
    (found,) = database.execute("SELECT generation, reserve, reserve_host FROM gateway")
    return found


# ------------------------------------------------------------------ who has it


def test_one_host_of_the_cluster_has_it(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    for _ in range(2):
        first.reserve_order(GATEWAY, RENEWAL)
        second.reserve_order(GATEWAY, RENEWAL)
    assert row(database) == (1, 2, "gw-a")
    assert first.reserved_lease(GATEWAY, OLD) is not None
    assert second.reserved_lease(GATEWAY, OLD) is None


def test_it_replaces_one_certificate(first: FleetStore) -> None:
    first.reserve_order(GATEWAY, RENEWAL)
    assert first.reserved_lease(GATEWAY, "another certificate") is None


def test_a_host_that_has_yet_to_copy_a_certificate_gets_none(
    first: FleetStore, open_store: Open, database: FleetDatabase
) -> None:
    del first
    late = open_store(B)
    late.reserve_order(GATEWAY, RENEWAL)
    assert late.reserved_lease(GATEWAY, OLD) is None
    assert row(database) == (1, 0, None)


def test_an_order_through_the_database_gets_another_generation_and_voids_it(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    first.reserve_order(GATEWAY, RENEWAL)

    assert order(second, chain()) == 3

    assert first.copy_version(GATEWAY, now=NOW) is not None
    assert first.reserved_lease(GATEWAY, OLD) is None
    first.reserve_order(GATEWAY, RENEWAL)
    assert row(database) == (3, 4, "gw-a")


def test_an_order_whose_intent_is_lost_does_not_get_its_generation(
    first: FleetStore, database: FleetDatabase
) -> None:
    first.reserve_order(GATEWAY, RENEWAL)
    with first.lease(GATEWAY) as lease:
        first.open_order(GATEWAY, key_request("order-2"), URL, EXEMPT, Limits(), lease=lease)
        database.execute("DELETE FROM intent", "SELECT 1")
        assert first.add_version(GATEWAY, chain(), now=NOW).generation == 3


def test_nothing_is_reserved_while_an_order_is_open(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    """Its certificate gets the generation that would be reserved."""
    request = key_request("order-2")
    with second.lease(GATEWAY) as lease:
        second.open_order(GATEWAY, request, URL, EXEMPT, Limits(), lease=lease)
        first.reserve_order(GATEWAY, RENEWAL)
    first.reserve_order(GATEWAY, RENEWAL)
    assert first.reserved_lease(GATEWAY, OLD) is None

    second.remove_request(GATEWAY, request.id)
    first.reserve_order(GATEWAY, RENEWAL)
    assert row(database) == (1, 3, "gw-a")


def test_a_host_that_has_not_been_seen_for_a_day_loses_it(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    first.reserve_order(GATEWAY, RENEWAL)
    database.execute("UPDATE host SET seen = seen - interval '25 hours'", "SELECT 1")

    second.reserve_order(GATEWAY, RENEWAL)

    assert row(database) == (1, 3, "gw-b")
    cut(database)
    assert (place(first, chain()), place(second, chain())) == (2, 3)


@pytest.mark.parametrize("halt", ["paused_since", "brake_since"])
def test_a_fleet_that_is_halted_reserves_nothing(
    first: FleetStore, database: FleetDatabase, halt: str
) -> None:
    first.reserve_order(GATEWAY, RENEWAL)
    database.execute(f"UPDATE fleet SET {halt} = now()", "SELECT 1")
    first.reserve_order(GATEWAY, RENEWAL)
    assert first.reserved_lease(GATEWAY, OLD) is None
    assert row(database) == (1, 2, None)


def test_without_an_account_nothing_is_reserved(first: FleetStore, database: FleetDatabase) -> None:
    first.retire_account(CA)
    first.reserve_order(GATEWAY, RENEWAL)
    assert row(database) == (1, 0, None)


def test_it_is_given_back_and_the_next_host_gets_it(
    first: FleetStore, second: FleetStore, open_store: Open, database: FleetDatabase
) -> None:
    first.reserve_order(GATEWAY, RENEWAL)
    unwilling = open_store(A, reserve=0)
    assert unwilling.reserved_lease(GATEWAY, OLD) is None
    unwilling.reserve_order(GATEWAY, RENEWAL)
    second.reserve_order(GATEWAY, RENEWAL)
    assert first.reserved_lease(GATEWAY, OLD) is None
    assert row(database) == (1, 3, "gw-b")
    second.reserve_order(GATEWAY, None)
    assert second.reserved_lease(GATEWAY, OLD) is None
    assert row(database) == (1, 3, None)


def test_a_host_that_has_lost_its_file_gets_another_generation(
    first: FleetStore, database: FleetDatabase
) -> None:
    first.reserve_order(GATEWAY, RENEWAL)
    (first.gateway_directory(GATEWAY) / "reserve.json").unlink()
    first.reserve_order(GATEWAY, RENEWAL)
    assert row(database) == (1, 3, "gw-a")


def test_a_database_that_was_restored_knows_it_again(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    first.reserve_order(GATEWAY, RENEWAL)
    database.execute("UPDATE gateway SET reserve = 0, reserve_host = NULL", "SELECT 1")
    first.database.close()
    first.state(GATEWAY)
    assert row(database) == (1, 2, "gw-a")
    assert order(second, chain()) == 3


def test_a_host_that_leaves_gives_it_back(first: FleetStore) -> None:
    first.reserve_order(GATEWAY, RENEWAL)
    first.forget_generations(GATEWAY)
    assert first.reserved_lease(GATEWAY, OLD) is None


# ------------------------------------------------------------------ its use


def test_without_the_database_it_is_placed_once_and_sent_later(
    first: FleetStore, second: FleetStore, open_store: Open, database: FleetDatabase
) -> None:
    first.reserve_order(GATEWAY, RENEWAL)
    cut(database)

    assert place(first, chain()) == 2

    assert first.reserved_lease(GATEWAY, OLD) is None
    restarted = open_store(A)
    assert restarted.reserved_lease(GATEWAY, OLD) is None
    restore(database)
    restarted.copy_version(GATEWAY, now=NOW)
    copied = second.copy_version(GATEWAY, now=NOW)
    assert copied is not None
    assert copied.certificate == restarted.versions(GATEWAY)[0].certificate
    assert row(database) == (2, 2, "gw-a")
    assert database.execute("SELECT count(*) FROM version WHERE generation = 2") == [(1,)]


def test_everything_that_it_takes_is_in_the_files(
    first: FleetStore, database: FleetDatabase
) -> None:
    first.reserve_order(GATEWAY, RENEWAL)
    known = first.account(CA)
    cut(database)
    with pytest.raises(DatabaseError):
        first.account(CA)
    held = first.reserved_lease(GATEWAY, OLD)
    assert held is not None
    state = GatewayState(EnrolmentState(failures=1))
    with held as lease:
        first.open_order(GATEWAY, key_request("order-2"), URL, EXEMPT, Limits(), lease=lease)
        assert (first.account(CA), first.next_key(CA)) == (known, None)
        first.save_state(GATEWAY, state)
        assert first.state(GATEWAY) == state
        assert [each.id for each in first.requests(GATEWAY)] == ["order-2"]
        first.put_token("http-01", "token", "token.thumbprint")
        assert first.token("http-01", "token") == "token.thumbprint"
        assert first.wait_for_hosts("http-01", "token", Deadline.after(60)) == ()
        first.remove_token("http-01", "token")
        assert first.token("http-01", "token") is None
        published = first.add_record(TextRecord("_acme-challenge.a", "b", "a"), now=NOW)
        first.abandon_record(published)
        assert [each.id for each in first.records()] == [published.id]
        first.remove_record(published)
        assert first.records() == ()
        assert first.count_requests(URL, ISSUED, Limits()) is None
    assert first.state(GATEWAY) == state
    restore(database)
    first.state(GATEWAY)
    assert database.execute("SELECT DISTINCT kind, id FROM expense WHERE id = 'order 1'") == [
        (RequestKind.REPLACEMENT, "order 1")
    ]


@pytest.mark.parametrize(
    ("url", "expenses"),
    [(URL, COUNTED), ("https://another.example/directory", EXEMPT)],
    ids=["that costs something", "at another CA"],
)
def test_another_order_is_refused(
    first: FleetStore, database: FleetDatabase, url: str, expenses: Expenses
) -> None:
    """Such as one that the CA does not take for a replacement: another host may have replaced."""
    first.reserve_order(GATEWAY, RENEWAL)
    cut(database)
    held = first.reserved_lease(GATEWAY, OLD)
    assert held is not None
    with held as lease:
        with pytest.raises(DatabaseAwayError, match="nothing else is ordered"):
            first.open_order(GATEWAY, key_request("order-2"), url, expenses, Limits(), lease=lease)
        assert first.requests(GATEWAY) == ()
        with pytest.raises(DatabaseError):
            first.count_requests(url, COUNTED, Limits())
    with pytest.raises(DatabaseError):
        first.count_requests(URL, ISSUED, Limits())


class ComparedUrl(str):
    """A URL that does something when it is compared."""

    __slots__ = ("then",)
    then: Callable[[], object]

    def __eq__(self, other: object) -> bool:
        self.then()
        return str(self) == other

    __hash__ = str.__hash__


def test_requests_are_counted_while_another_gateways_order_begins(
    first: FleetStore, database: FleetDatabase
) -> None:
    other = "mail"
    order(first, chain(), other)
    for gateway in (GATEWAY, other):
        first.reserve_order(gateway, RENEWAL)
    cut(database)
    url = ComparedUrl("https://another.example/directory")
    with ExitStack() as held:
        leases = [first.reserved_lease(gateway, OLD) for gateway in (GATEWAY, other)]
        mine, others = (lease for lease in leases if lease is not None)
        url.then = lambda: held.enter_context(others)
        with mine, pytest.raises(DatabaseError):
            first.count_requests(url, COUNTED, Limits())


def test_an_order_that_was_interrupted_goes_on_and_one_that_failed_does_not(
    first: FleetStore, open_store: Open, database: FleetDatabase
) -> None:
    first.reserve_order(GATEWAY, RENEWAL)
    cut(database)
    held = first.reserved_lease(GATEWAY, OLD)
    assert held is not None
    with held as lease:
        first.open_order(GATEWAY, key_request("order-2"), URL, EXEMPT, Limits(), lease=lease)

    restarted = open_store(A)
    held = restarted.reserved_lease(GATEWAY, OLD)
    assert held is not None
    with held as lease:
        (request,) = restarted.requests(GATEWAY)
        assert (request.id, request.generation) == ("order-2", 2)
        with pytest.raises(DatabaseAwayError):
            restarted.open_order(
                GATEWAY, key_request("order-3"), URL, EXEMPT, Limits(), lease=lease
            )
        restarted.remove_request(GATEWAY, "order-2")
    assert restarted.reserved_lease(GATEWAY, OLD) is None


def test_an_order_that_is_unfinished_goes_on_through_the_database(
    first: FleetStore, database: FleetDatabase
) -> None:
    first.reserve_order(GATEWAY, RENEWAL)
    cut(database)
    held = first.reserved_lease(GATEWAY, OLD)
    assert held is not None
    with held as lease:
        first.open_order(GATEWAY, key_request("order-2"), URL, EXEMPT, Limits(), lease=lease)
    restore(database)

    first.state(GATEWAY)
    first.reserve_order(GATEWAY, RENEWAL)

    with first.lease(GATEWAY):
        assert [each.id for each in first.requests(GATEWAY)] == ["order-2"]
        assert first.add_version(GATEWAY, chain(), now=NOW).generation == 2
    assert row(database) == (2, 2, "gw-a")


@pytest.mark.parametrize(("days", "newest"), [(10, 4), (95, 3)])
def test_of_two_orders_the_certificate_that_ends_later_is_for_all(
    first: FleetStore, second: FleetStore, database: FleetDatabase, days: int, newest: int
) -> None:
    """One host was cut off, and the other one was not."""
    first.reserve_order(GATEWAY, RENEWAL)
    assert order(second, chain(days=days)) == 3
    first.database.close()
    cut(database)
    assert place(first, chain()) == 2
    restore(database)

    first.copy_version(GATEWAY, now=NOW)
    second.copy_version(GATEWAY, now=NOW)

    assert row(database)[0] == newest
    theirs, ours = second.versions(GATEWAY)[0], first.versions(GATEWAY)[0]
    assert theirs.certificate == ours.certificate
    assert first.copy_version(GATEWAY, now=NOW) is None
    assert second.copy_version(GATEWAY, now=NOW) is None


def test_what_replaces_a_revoked_certificate_is_urgent_when_the_database_is_back(
    first: FleetStore, second: FleetStore, database: FleetDatabase
) -> None:
    """The revocation was learnt without the database, too."""
    first.reserve_order(GATEWAY, RENEWAL)
    fingerprint = fingerprint_of(first.versions(GATEWAY)[0].certificate)
    cut(database)
    known, revocation = first.state(GATEWAY), RevocationState(fingerprint, NOW, revoked=NOW)
    first.save_state(GATEWAY, replace(known, enrolment=EnrolmentState(revocation=revocation)))
    assert place(first, chain()) == 2
    restore(database)
    first.state(GATEWAY)
    found = second.roll_out(GATEWAY, 2)
    assert found is not None
    assert found.is_urgent


def test_a_limit_keeps_it_for_later(first: FleetStore, database: FleetDatabase) -> None:
    first.reserve_order(GATEWAY, RENEWAL)
    spent = Expenses(NOW, (CountedRequest(RequestKind.REPLACEMENT, NOW, "an order", names=NAMES),))
    first.count_requests(URL, spent, Limits())
    cut(database)
    for within, is_refused in ((FEW, True), (Limits(), False)):
        held = first.reserved_lease(GATEWAY, OLD)
        assert held is not None
        with held as lease:
            reached = first.open_order(
                GATEWAY, key_request("order-2"), URL, EXEMPT, within, lease=lease
            )
        assert not isinstance(reached, OrderHeld)
        assert (reached is not None) is is_refused


def test_an_export_takes_an_unfinished_order_along(
    first: FleetStore, database: FleetDatabase, tmp_path: Path
) -> None:
    first.state(GATEWAY)
    with first.lease(GATEWAY):
        first.save_state(GATEWAY, GatewayState(EnrolmentState(failures=1)))
    first.reserve_order(GATEWAY, RENEWAL)
    cut(database)
    held = first.reserved_lease(GATEWAY, OLD)
    assert held is not None
    request = key_request("order-2")
    state = GatewayState(EnrolmentState(order=pending(request)))
    with held as lease:
        first.open_order(GATEWAY, request, URL, EXEMPT, Limits(), lease=lease)
        first.save_state(GATEWAY, state)
    restore(database)

    exported = Export(first, tmp_path / "plain")
    assert exported.gateway(GATEWAY, now=NOW).orders == 1

    plain = FileStore(tmp_path / "plain")
    assert plain.state(GATEWAY).enrolment.order == pending(request)
    assert [each.private_key for each in plain.requests(GATEWAY)] == [request.private_key]
