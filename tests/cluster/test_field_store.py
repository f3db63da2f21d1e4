"""CSRs of gateways in the field: handed in by a relay, answered by the hosts of a cluster."""

from __future__ import annotations

import os
import re
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING

import psycopg
import pytest
from cryptography import x509
from cryptography.fernet import Fernet
from tests.fakes.clock import Clock
from tests.fakes.pki import dns
from tests.fakes.played_authority import PlayedAuthority

from gatecert.certificate import key
from gatecert.certificate.request import build_request
from gatecert.certificate.summary import summarize
from gatecert.errors import ACMEError, AuthorityError, LeaseLostError, RateLimitBudgetError
from gatecert.lifecycle.field_issuer import FieldIssuer
from gatecert.model import (
    CountedRequest,
    Expenses,
    KeyType,
    Limits,
    RateLimit,
    RequestKind,
)
from gatecert.model.fleet import FleetHost, Priority, Urgency
from gatecert.store.postgres import lease_rows
from gatecert.store.postgres.field_store import FieldStore
from gatecert.store.postgres.fleet_store import FleetStore
from gatecert.store.postgres.held_lease import LENGTH
from gatecert.supervision import messages
from gatecert.supervision.field_turns import TURNS
from gatecert.supervision.worker_process import load_configuration

from .configured_host import configured_host

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from gatecert.store.postgres.field_order import FieldOrder
    from gatecert.store.postgres.field_rows import CsrRequest, LastCertificate

    from .conftest import FleetDatabase

DOMAINS = ("ddns.example",)
SITE, GATEWAY = "site1.ddns.example", "field/site1.ddns.example"
URL = "https://ca.example/directory"
HOUR = timedelta(hours=1)
NOW = datetime.now(UTC).replace(microsecond=0)
ORDER = Expenses(NOW, (CountedRequest(RequestKind.ORDER, NOW, account="https://ca.example/1"),))

Open = Callable[..., FieldIssuer]


def make_csr(*names: str, private_key: bytes = b"") -> bytes:
    private_key = private_key or key.generate(KeyType.ECDSA_P256)
    return build_request(private_key, dns(*(names or (SITE,))), common_name=None)


@dataclass(frozen=True, slots=True)
class Relay:
    """A relay's login."""

    connection: psycopg.Connection

    def hand_in(self, csr: bytes) -> str:
        """Do what the handler does; return the id."""
        id_ = sha256(csr).hexdigest()
        self.connection.execute(
            "INSERT INTO csr_request (id, csr) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (id_, csr.decode()),
        )
        return id_

    def answer(self, id_: str) -> tuple[str | None, str | None]:
        row = self.connection.execute(
            "SELECT fullchain, refusal FROM csr_request WHERE id = %s", (id_,)
        ).fetchone()
        assert row is not None
        return row[0], row[1]

    def refusal(self, id_: str) -> str:
        fullchain, refusal = self.answer(id_)
        assert fullchain is None
        return refusal or ""


@pytest.fixture
def open_relay(database: FleetDatabase) -> Iterator[Callable[[str], Relay]]:
    """Log in as a relay of cluster hq."""
    connections = []

    def open_relay(role: str) -> Relay:
        database.execute(
            f"DROP ROLE IF EXISTS {role}",
            f"CREATE ROLE {role} LOGIN IN ROLE gatecert_relay",
            f"INSERT INTO relay VALUES ('{role}', 'hq')",
            "SELECT 1",
        )
        database.logins[role] = database.server.login(role, database.name)
        connections.append(database.connect(role))
        return Relay(connections[-1])

    yield open_relay
    for connection in connections:
        connection.close()


@pytest.fixture
def relay(open_relay: Callable[[str], Relay]) -> Relay:
    return open_relay("relay_1")


@pytest.fixture
def clock() -> Clock:
    """Return a clock that shows the time of the database's server, more or less."""
    return Clock(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def authority(clock: Clock) -> PlayedAuthority:
    return PlayedAuthority(clock)


@pytest.fixture
def open_store(database: FleetDatabase, tmp_path: Path) -> Iterator[Callable[[str], FleetStore]]:
    stores = []
    seal = tmp_path / "seal"
    seal.touch(0o600)
    seal.write_bytes(Fernet.generate_key())

    def open_store(role: str) -> FleetStore:
        cluster, _, host = role.partition("-")
        place = FleetHost(database.logins[role], cluster, host, 1, (seal,), 0)
        stores.append(FleetStore(tmp_path / role, place, pause=0.0))
        return stores[-1]

    yield open_store
    for store in stores:
        store.database.close()


@pytest.fixture
def open_issuer(
    open_store: Callable[[str], FleetStore], authority: PlayedAuthority, clock: Clock
) -> Open:
    def open_issuer(role: str = "hq-gw-a") -> FieldIssuer:
        return FieldIssuer(
            FieldStore(open_store(role), clock),
            authority,
            DOMAINS,
            ("cn",),
            lambda *_: None,
            clock,
            Random(1),
            threading.Event(),
        )

    return open_issuer


@pytest.fixture
def issuer(open_issuer: Open) -> FieldIssuer:
    return open_issuer()


# ------------------------------------------------------------------ the rights of a relay


def test_a_relay_sees_its_own_csrs_only(open_relay: Callable[[str], Relay]) -> None:
    first, second = open_relay("relay_1"), open_relay("relay_2")
    first.hand_in(make_csr())
    seen = [each.connection.execute("SELECT FROM csr_request").rowcount for each in (first, second)]
    assert seen == [1, 0]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE csr_request SET refusal = 'no'",
        "DELETE FROM csr_request",
        "INSERT INTO csr_request (id, csr, relay) VALUES (repeat('0', 64), '', 'relay_2')",
        "INSERT INTO csr_request (id, csr, cluster) VALUES (repeat('0', 64), '', 'lab')",
        "INSERT INTO csr_request (id, csr, fullchain) VALUES (repeat('0', 64), '', '')",
        "SELECT FROM gateway",
        "SELECT FROM version",
        "SELECT FROM intent",
        "SELECT FROM account",
        "SELECT FROM host",
        "SELECT FROM relay",
        "SELECT own_host()",
    ],
)
def test_a_relay_may_do_nothing_else(relay: Relay, statement: str) -> None:
    relay.hand_in(make_csr())
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
        relay.connection.execute(statement.encode())


def test_a_login_that_is_no_relay_hands_nothing_in(database: FleetDatabase, relay: Relay) -> None:
    database.execute("DELETE FROM relay", "SELECT 1")
    with pytest.raises(psycopg.errors.NotNullViolation, match="cluster"):
        relay.hand_in(make_csr())


def test_only_the_hosts_of_its_cluster_see_a_csr(database: FleetDatabase, relay: Relay) -> None:
    relay.hand_in(make_csr())
    seen = {}
    for role in ("hq-gw-b", "lab-gw-a"):
        with closing(database.connect(role)) as host:
            seen[role] = host.execute("SELECT FROM csr_request").rowcount
    assert seen == {"hq-gw-b": 1, "lab-gw-a": 0}


# ------------------------------------------------------------------ which names


@pytest.mark.parametrize(
    ("csr", "reason"),
    [
        (make_csr("vpn.example.org"), "vpn.example.org is not a host name below ddns.example"),
        (make_csr("ddns.example"), "ddns.example is not a host name below"),
        (make_csr("evilddns.example"), "evilddns.example is not"),
        (make_csr(SITE, "www.example.org"), "www.example.org is not"),
        (make_csr("*.ddns.example"), r"\*.ddns.example is not"),
        (b"garbage", "the CSR cannot be read"),
        (
            make_csr().replace(b"M", b"N", 1),
            "the CSR cannot be read|not signed with the key",
        ),
    ],
)
def test_what_may_not_be_ordered_is_refused_before_anything_is_sent(
    relay: Relay, issuer: FieldIssuer, authority: PlayedAuthority, csr: bytes, reason: str
) -> None:
    refused, admitted = relay.hand_in(csr), relay.hand_in(make_csr())

    assert issuer.turn()

    assert authority.orders == 1
    assert re.match(reason, relay.refusal(refused)), relay.refusal(refused)
    assert relay.answer(admitted)[0]


# ------------------------------------------------------------------ answers


def test_a_chain_without_a_key_is_the_answer(
    database: FleetDatabase, relay: Relay, issuer: FieldIssuer
) -> None:
    csr = make_csr()
    id_ = relay.hand_in(csr)

    assert issuer.turn()

    fullchain, refusal = relay.answer(id_)
    assert (refusal, bool(fullchain)) == (None, True)
    leaf = x509.load_pem_x509_certificate((fullchain or "").encode())
    assert leaf.public_key() == x509.load_pem_x509_csr(csr).public_key()
    assert database.execute("SELECT generation, sealed_key FROM version") == [(1, None)]
    assert database.execute("SELECT generation, sealed_key, csr FROM intent") == [(1, None, None)]
    assert database.execute("SELECT name, generation, due, lease FROM gateway") == [
        (GATEWAY, 1, None, None)
    ]
    assert not issuer.turn()


def test_a_renewal_names_the_certificate_that_it_replaces(
    database: FleetDatabase, relay: Relay, issuer: FieldIssuer, authority: PlayedAuthority
) -> None:
    first = relay.hand_in(make_csr())
    assert issuer.turn()
    second = relay.hand_in(make_csr())
    assert issuer.turn()

    replaced = summarize((relay.answer(first)[0] or "").encode()).certificate_id
    assert authority.replaced == ["", replaced]
    assert relay.answer(second)[0]
    assert database.execute("SELECT generation FROM gateway") == [(2,)]


def test_the_certificate_of_another_authority_is_not_replaced(
    database: FleetDatabase, relay: Relay, issuer: FieldIssuer, authority: PlayedAuthority
) -> None:
    relay.hand_in(make_csr())
    assert issuer.turn()
    database.execute('UPDATE version SET details = \'{"authority": "other"}\'', "SELECT 1")
    relay.hand_in(make_csr())
    assert issuer.turn()
    assert authority.replaced == ["", ""]


def test_every_csr_of_a_gateway_is_answered(relay: Relay, issuer: FieldIssuer) -> None:
    """Two hosts of one name, each with its key."""
    ids = [relay.hand_in(make_csr()) for _ in range(2)]
    assert [issuer.turn() for _ in range(3)] == [True, True, False]
    assert all(relay.answer(id_)[0] for id_ in ids)


def test_a_csr_is_ordered_for_by_one_host(
    relay: Relay, open_issuer: Open, authority: PlayedAuthority
) -> None:
    first, second = open_issuer("hq-gw-a"), open_issuer("hq-gw-b")
    relay.hand_in(make_csr())
    turns = []
    authority.during_order = lambda: turns.append(second.turn())

    assert first.turn()

    assert (turns, authority.orders) == ([False], 1)


def test_hosts_of_another_cluster_order_nothing(
    relay: Relay, open_issuer: Open, authority: PlayedAuthority
) -> None:
    relay.hand_in(make_csr())
    assert not open_issuer("lab-gw-a").turn()
    assert authority.orders == 0


def test_the_most_urgent_goes_first(
    relay: Relay, issuer: FieldIssuer, clock: Clock, authority: PlayedAuthority
) -> None:
    relay.hand_in(make_csr())
    assert issuer.turn()
    clock.time += 85 * timedelta(days=1)
    other = relay.hand_in(make_csr("site2.ddns.example"))
    ending = relay.hand_in(make_csr())

    assert issuer.turn()

    assert relay.answer(ending)[0]
    assert relay.answer(other) == (None, None)
    assert authority.orders == 2


# ------------------------------------------------------------------ failures


def test_a_host_that_was_lost_is_replaced_in_the_same_order(
    database: FleetDatabase, relay: Relay, open_issuer: Open, authority: PlayedAuthority
) -> None:
    first, second = open_issuer("hq-gw-a"), open_issuer("hq-gw-b")
    id_ = relay.hand_in(make_csr())

    def freeze() -> None:
        authority.during_order = lambda: None
        database.execute("UPDATE gateway SET lease_until = now()", "SELECT 1")
        assert second.turn()

    authority.during_order = freeze

    assert not first.turn()

    assert authority.orders == 1
    assert relay.answer(id_)[0]
    assert database.execute("SELECT generation FROM version") == [(1,)]


def claim(
    issuer: FieldIssuer, priority: Priority = Priority.NONE
) -> AbstractContextManager[FieldOrder | None]:
    """Claim what is due, as a turn does."""
    for request in issuer.store.new_requests():
        issuer.store.admit(request, SITE, lambda _: Urgency(priority))
    return issuer.store.claimed()


def test_nothing_is_opened_under_a_lease_that_was_lost(
    database: FleetDatabase, relay: Relay, issuer: FieldIssuer
) -> None:
    relay.hand_in(make_csr())
    with claim(issuer) as order:
        assert order is not None
        database.execute("UPDATE gateway SET lease = gen_random_uuid()", "SELECT 1")
        with pytest.raises(LeaseLostError, match=GATEWAY):
            order.open(order.new_request(), URL, ORDER, Limits())
    assert database.execute("SELECT FROM expense") == []


@pytest.mark.parametrize(("priority", "most"), [(Priority.NONE, 9), (Priority.ENDING, 10)])
def test_a_tenth_of_a_limit_is_kept_for_the_urgent(
    database: FleetDatabase, relay: Relay, issuer: FieldIssuer, priority: Priority, most: int
) -> None:
    limits = Limits(orders=RateLimit(10, HOUR))
    relay.hand_in(make_csr())
    with claim(issuer, priority) as order:
        assert order is not None
        request = order.new_request()
        reached = [order.open(request, URL, ORDER, limits) for _ in range(11)]
    assert [each is None for each in reached] == [True] * most + [False] * (11 - most)
    assert database.execute("SELECT count(*) FROM expense WHERE kind = 'order'") == [(most,)]
    assert database.execute("SELECT count(*) FROM intent") == [(1,)]


def test_a_spent_budget_delays_the_answer(
    database: FleetDatabase,
    relay: Relay,
    issuer: FieldIssuer,
    authority: PlayedAuthority,
    clock: Clock,
) -> None:
    authority.trouble = RateLimitBudgetError("enough", until=clock() + HOUR)
    id_ = relay.hand_in(make_csr())

    assert issuer.turn()

    assert relay.answer(id_) == (None, None)
    assert database.execute("SELECT due FROM gateway") == [(clock() + HOUR,)]
    assert database.execute("SELECT enrolment ->> 'failures' FROM gateway") == [("0",)]
    relay.hand_in(make_csr())  # asking again changes nothing
    assert not issuer.turn()
    database.execute("UPDATE gateway SET due = now()", "SELECT 1")
    authority.trouble = None
    assert issuer.turn()
    assert relay.answer(id_)[0]


def test_a_failure_delays_the_next_attempt(
    database: FleetDatabase, relay: Relay, issuer: FieldIssuer, authority: PlayedAuthority
) -> None:
    authority.trouble = AuthorityError("the CA is down")
    relay.hand_in(make_csr())
    assert [issuer.turn(), issuer.turn()] == [True, False]
    assert database.execute(
        "SELECT enrolment ->> 'failures', due > now() + interval '20 seconds' FROM gateway"
    ) == [("1", True)]


def test_an_unexpected_error_delays_the_next_attempt_and_no_other_gateway(
    database: FleetDatabase, relay: Relay, issuer: FieldIssuer, authority: PlayedAuthority
) -> None:
    authority.trouble = ValueError("what a DNS provider says cannot be read")
    first = relay.hand_in(make_csr())
    assert issuer.turn()
    assert database.execute(
        "SELECT enrolment ->> 'failures', due > now() + interval '20 seconds', lease FROM gateway"
    ) == [("1", True, None)]

    authority.trouble = None
    other = relay.hand_in(make_csr("site2.ddns.example"))
    assert [issuer.turn(), issuer.turn()] == [True, False]
    assert (relay.answer(first), bool(relay.answer(other)[0])) == ((None, None), True)


def test_an_answer_that_cannot_be_written_delays_it_and_places_no_other_order(
    database: FleetDatabase, relay: Relay, issuer: FieldIssuer, authority: PlayedAuthority
) -> None:
    database.execute("ALTER TABLE csr_request ADD CONSTRAINT none CHECK (fullchain IS NULL)")
    id_ = relay.hand_in(make_csr())
    assert issuer.turn()
    assert database.execute("SELECT enrolment ->> 'failures' FROM gateway") == [("1",)]

    database.execute("ALTER TABLE csr_request DROP CONSTRAINT none")
    database.execute("UPDATE gateway SET due = now()")
    assert issuer.turn()
    assert relay.answer(id_)[0]
    assert authority.orders == 1


class DefectiveStore(FieldStore):
    """A store with an error that concerns one name."""

    def admit(
        self,
        request: CsrRequest,
        name: str,
        urgency: Callable[[LastCertificate | None], Urgency],
    ) -> None:
        if name == SITE:
            raise ValueError(name)
        super().admit(request, name, urgency)


def test_a_csr_with_an_unexpected_error_is_refused_and_no_other_one(
    relay: Relay, issuer: FieldIssuer, open_store: Callable[[str], FleetStore], clock: Clock
) -> None:
    issuer = replace(issuer, store=DefectiveStore(open_store("hq-gw-a"), clock))
    refused, other = relay.hand_in(make_csr()), relay.hand_in(make_csr("site2.ddns.example"))
    assert issuer.turn()
    assert relay.refusal(refused) == "unexpected ValueError"
    assert relay.answer(other)[0]


def test_the_loss_of_a_process_counts_for_what_it_had_in_hand(
    database: FleetDatabase,
    relay: Relay,
    issuer: FieldIssuer,
    authority: PlayedAuthority,
    open_store: Callable[[str], FleetStore],
) -> None:
    lost, other = relay.hand_in(make_csr()), relay.hand_in(make_csr("site2.ddns.example"))
    for request in issuer.store.new_requests():
        name = SITE if request.id == lost else "site2.ddns.example"
        issuer.store.admit(request, name, lambda _: Urgency(Priority.NONE))
    with open_store("hq-gw-a").database.transaction() as rows:  # nobody ends the lease
        assert lease_rows.claim_most_urgent(rows, LENGTH, prefix=GATEWAY)
    with open_store("hq-gw-b").database.transaction() as rows:
        elsewhere = lease_rows.take_back(rows, LENGTH, held=[], prefix="field/")
    authority.during_order = lambda: issuer.count_loss("it was ended by SIGSEGV")

    assert issuer.turn()

    assert elsewhere is None
    assert (relay.answer(lost), bool(relay.answer(other)[0])) == ((None, None), True)
    assert database.execute(
        "SELECT enrolment ->> 'failures', due > now() + interval '20 seconds', lease FROM gateway"
        f" WHERE name = '{GATEWAY}'"
    ) == [("1", True, None)]
    issuer.count_loss("and again, with nothing in hand")
    assert database.execute("SELECT max(enrolment ->> 'failures') FROM gateway") == [("1",)]


def test_a_worker_counts_the_loss_of_the_one_before(
    database: FleetDatabase, relay: Relay, issuer: FieldIssuer, tmp_path: Path
) -> None:
    relay.hand_in(make_csr())
    for request in issuer.store.new_requests():
        issuer.store.admit(request, SITE, lambda _: Urgency(Priority.NONE))
    with closing(database.connect("hq-gw-a")) as lost:
        lost.execute(
            "UPDATE gateway SET lease = gen_random_uuid(), lease_host = own_host(),"
            " lease_until = now() + interval '120 seconds'"
        )
    host = configured_host(database, "hq-gw-a", tmp_path)
    host.configuration["fleet"]["issue"] = {"domains": list(DOMAINS)}
    host.configuration["challenges"]["dns-01"] = {"provider": "exec", "command": ["/bin/false"]}
    host.write()
    worker, snapshot = load_configuration(host.configuration_file, debug=False)
    try:
        worker.send(messages.Open({}, changed=True))
        worker.send(messages.Work(TURNS[0], lost="it was ended by SIGSEGV"))
        said: list[messages.Message] = []
        while not any(isinstance(each, messages.Done) for each in said):
            assert select.select([worker], [], [], 60)[0], said
            said += worker.receive()
    finally:
        worker.end()
        os.close(snapshot)
    assert database.execute("SELECT enrolment ->> 'failures', lease FROM gateway") == [("1", None)]


def test_a_csr_that_the_ca_does_not_accept_is_refused(
    relay: Relay, issuer: FieldIssuer, authority: PlayedAuthority
) -> None:
    authority.trouble = ACMEError("badCSR", "this key was revoked")
    id_ = relay.hand_in(make_csr())
    assert issuer.turn()
    assert "this key was revoked" in relay.refusal(id_)
    assert not issuer.turn()


def test_a_csr_counts_for_a_day(
    database: FleetDatabase, relay: Relay, issuer: FieldIssuer, authority: PlayedAuthority
) -> None:
    id_ = relay.hand_in(make_csr())
    database.execute("UPDATE csr_request SET at = at - interval '25 hours'", "SELECT 1")
    assert not issuer.turn()
    assert (relay.refusal(id_), authority.orders) == ("not answered within a day", 0)
    database.execute("UPDATE csr_request SET at = at - interval '1 day'", "SELECT 1")
    assert not issuer.turn()
    assert database.execute("SELECT FROM csr_request") == []


def test_a_halted_fleet_orders_only_what_ends_within_a_day(
    database: FleetDatabase, relay: Relay, issuer: FieldIssuer, clock: Clock
) -> None:
    first = relay.hand_in(make_csr())
    assert issuer.turn()
    database.execute("UPDATE fleet SET paused_since = now()", "SELECT 1")
    other, same = relay.hand_in(make_csr("site2.ddns.example")), relay.hand_in(make_csr())
    assert [issuer.turn(), issuer.turn(), issuer.turn()] == [False] * 3
    clock.time += timedelta(days=89, hours=1)
    database.execute("UPDATE gateway SET due = now()", "SELECT 1")
    assert sorted([issuer.turn(), issuer.turn()]) == [False, True]
    answered = {id_: bool(relay.answer(id_)[0]) for id_ in (first, other, same)}
    assert answered == {first: True, other: False, same: True}


def test_a_damaged_row_stops_no_other_gateway(
    database: FleetDatabase, relay: Relay, issuer: FieldIssuer
) -> None:
    damaged = relay.hand_in(make_csr())
    for request in issuer.store.new_requests():
        issuer.store.admit(request, SITE, lambda _: Urgency(Priority.REVOKED))
    database.execute("UPDATE gateway SET enrolment = '{\"failures\": []}'", "SELECT 1")
    other = relay.hand_in(make_csr("site2.ddns.example"))

    assert [issuer.turn(), issuer.turn()] == [False, True]

    assert relay.answer(damaged) == (None, None)
    assert relay.answer(other)[0]


def test_a_damaged_certificate_is_not_replaced(
    database: FleetDatabase, relay: Relay, issuer: FieldIssuer, authority: PlayedAuthority
) -> None:
    relay.hand_in(make_csr())
    assert issuer.turn()
    database.execute("UPDATE version SET certificate = 'garbage'", "SELECT 1")
    id_ = relay.hand_in(make_csr())
    assert issuer.turn()
    assert relay.answer(id_)[0]
    assert authority.replaced == ["", ""]


def test_an_order_for_an_earlier_csr_is_dropped(
    database: FleetDatabase, relay: Relay, issuer: FieldIssuer, authority: PlayedAuthority
) -> None:
    authority.trouble = AuthorityError("the CA is down")
    early = relay.hand_in(make_csr())
    assert issuer.turn()
    database.execute("UPDATE csr_request SET at = at - interval '25 hours'", "SELECT 1")
    authority.trouble = None
    late = relay.hand_in(make_csr())
    database.execute("UPDATE gateway SET due = now()", "SELECT 1")

    assert issuer.turn()

    assert relay.refusal(early)
    assert relay.answer(late)[0]
    assert authority.orders == 2
    assert database.execute("SELECT generation, csr FROM intent ORDER BY 1") == [(2, None)]


def test_without_the_database_a_turn_ends(
    database: FleetDatabase, relay: Relay, issuer: FieldIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    relay.hand_in(make_csr())
    database.execute('ALTER ROLE "hq-gw-a" NOLOGIN', "SELECT 1")
    try:
        assert [issuer.turn(), issuer.turn()] == [False, False]
    finally:
        database.execute('ALTER ROLE "hq-gw-a" LOGIN', "SELECT 1")
    told = [each.message for each in caplog.records if "in the field" in each.message]
    assert len(told) == 1
