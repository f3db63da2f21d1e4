"""gatecert fleet reseal: after it, no private key needs an old sealing key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from tests.fakes.pki import Pki, dns

from gatecert.certificate import key
from gatecert.certificate.request import build_request
from gatecert.errors import SealingKeyMissingError
from gatecert.model import (
    Account,
    Expenses,
    IssuedChain,
    KeyRequest,
    KeyType,
    Limits,
    Origin,
)
from gatecert.store.postgres import resealing
from gatecert.store.postgres.database import Database
from gatecert.store.postgres.fleet_store import FleetStore
from gatecert.store.postgres.resealing import reseal
from gatecert.store.postgres.sealing import read_sealing_keys
from harness.waiting import wait_until

from .configured_host import GATEWAY, configured_host, failed, sealing_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import FleetDatabase

A, B = "hq-gw-a", "hq-gw-b"
CA, URL = "letsencrypt", "https://ca.example/directory"
NOW = datetime.now(UTC).replace(microsecond=0)
PKI = Pki()
OLD, BOTH, NEW = ("old",), ("new", "old"), ("new",)


class Hosts:
    """The stores of hosts with one set of sealing keys or another."""

    def __init__(self, database: FleetDatabase, directory: Path) -> None:
        self.database = database
        self.directory = directory
        self.opened: list[Database] = []

    def store(self, role: str, seals: tuple[str, ...]) -> FleetStore:
        paths = tuple(sealing_key(self.directory, name) for name in seals)
        place = replace(self.database.place(role), sealing_keys=paths)
        store = FleetStore(self.directory / f"{role}-{'-'.join(seals)}", place, pause=0.0)
        self.opened.append(store.database)
        return store

    def reseal(self, seals: tuple[str, ...]) -> resealing.Resealed:
        paths = [sealing_key(self.directory, name) for name in seals]
        with closing(Database(self.database.place(A))) as database:
            return reseal(database, read_sealing_keys(paths))


@pytest.fixture
def hosts(database: FleetDatabase, tmp_path: Path) -> Iterator[Hosts]:
    made = Hosts(database, tmp_path)
    yield made
    for opened in made.opened:
        opened.close()


def private_key() -> bytes:
    return key.generate(KeyType.ECDSA_P256)


def chain() -> IssuedChain:
    root = PKI.root()
    leaf, other = PKI.issue("vpn", root), PKI.issue("vpn, rsa", root, key_kind="2048")
    half = IssuedChain(other.key_pem, other.pem, root.pem, Origin.AUTHORITY)
    return IssuedChain(leaf.key_pem, leaf.pem, root.pem, Origin.AUTHORITY, second=half)


def key_request(name: str) -> KeyRequest:
    made = private_key()
    return KeyRequest(
        name, NOW, made, build_request(made, dns("vpn.example.com"), common_name=None)
    )


def order(store: FleetStore, gateway: str, name: str, issued: IssuedChain | None = None) -> None:
    """Order for a gateway, and install the certificate if there is one."""
    with store.lease(gateway) as lease:
        store.open_order(gateway, key_request(name), URL, Expenses(NOW), Limits(), lease=lease)
        if issued is not None:
            store.add_version(gateway, issued, now=NOW)


def fill(store: FleetStore) -> None:
    """Write every kind of row with a private key: six of them, and one in a retired account."""
    store.save_account(CA, Account(private_key(), f"{URL}/retired", URL))
    store.retire_account(CA)
    store.save_account(CA, Account(private_key(), f"{URL}/account", URL))
    store.save_next_key(CA, private_key())
    order(store, GATEWAY, "order-first", chain())
    order(store, GATEWAY, "order-second")
    order(store, "other", "order-third")


def contents(store: FleetStore) -> list[object]:
    """Return everything that needs a sealing key, with the keys."""
    copied = store.copy_version(GATEWAY, now=NOW)
    assert copied is not None
    return [
        store.account(CA),
        store.next_key(CA),
        [store.requests(gateway) for gateway in (GATEWAY, "other")],
        [store.private_key(copied, second=second) for second in (False, True)],
    ]


def test_everything_opens_without_the_old_key(hosts: Hosts) -> None:
    fill(hosts.store(A, OLD))
    expected = contents(hosts.store(B, OLD))
    with pytest.raises(SealingKeyMissingError):
        hosts.store(B, NEW).account(CA)

    assert hosts.reseal(BOTH) == resealing.Resealed(7, 7, ())

    assert contents(hosts.store(B, NEW)) == expected
    assert hosts.reseal(BOTH) == resealing.Resealed(0, 7, ())
    assert hosts.reseal(NEW).unopened == ()


def test_rows_of_another_cluster_are_left_alone(hosts: Hosts) -> None:
    hosts.store("lab-gw-a", OLD).save_account(CA, Account(private_key()))
    assert hosts.reseal(BOTH) == resealing.Resealed(0, 0, ())


def test_more_rows_than_a_batch(hosts: Hosts) -> None:
    store = hosts.store(A, OLD)
    order(store, GATEWAY, "order-first")
    more = 2 * resealing.BATCH
    hosts.database.execute(
        "INSERT INTO gateway (cluster, name) "
        f"SELECT 'hq', 'copy ' || number FROM generate_series(1, {more}) AS number"
    )
    hosts.database.execute(
        "INSERT INTO intent (cluster, gateway, generation, request, directory_url, host, csr, "
        "sealed_key) SELECT 'hq', copy.name, 1, 'r', 'd', 'gw-a', csr, sealed_key "
        "FROM intent, gateway AS copy WHERE copy.name LIKE 'copy %'"
    )
    assert hosts.reseal(BOTH) == resealing.Resealed(more + 1, more + 1, ())
    assert hosts.reseal(NEW) == resealing.Resealed(0, more + 1, ())


def test_what_a_host_writes_at_the_same_time_is_kept(hosts: Hosts) -> None:
    """The row is locked while its old key is read, so the transaction before has ended."""
    fill(hosts.store(A, OLD))
    later = private_key()
    with hosts.database.connect(B) as other, ThreadPoolExecutor() as pool:
        sealed = read_sealing_keys([sealing_key(hosts.directory, "old")]).seal(later)
        with other.transaction():
            other.execute(
                "UPDATE account SET sealed_next_key = %s WHERE retired IS NULL", (sealed,)
            )
            resealing_now = pool.submit(hosts.reseal, BOTH)
            wait_until(lambda: is_waiting(hosts.database), "reseal to wait for the row")
        assert resealing_now.result().unopened == ()
    assert hosts.store(B, NEW).next_key(CA) == later


def is_waiting(database: FleetDatabase) -> bool:
    """Tell whether a session waits for a lock."""
    waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND "
    return bool(database.execute(waiting + "wait_event_type = 'Lock'"))


def test_a_host_that_still_seals_with_the_old_key_is_noticed(hosts: Hosts) -> None:
    """It writes a row behind the ones that were looked at, which the next look finds."""
    fill(hosts.store(A, OLD))
    slow = hosts.database.connect(B)
    with closing(slow), ThreadPoolExecutor() as pool:
        sealed = read_sealing_keys([sealing_key(hosts.directory, "old")]).seal(private_key())
        with slow.transaction():
            slow.execute("SELECT FROM version FOR UPDATE")
            resealing_now = pool.submit(hosts.reseal, BOTH)
            wait_until(lambda: is_waiting(hosts.database), "reseal to reach the last table")
            slow.execute(
                "INSERT INTO account (authority, directory_url, sealed_key) VALUES ('a', 'd', %s)",
                (sealed,),
            )
        assert resealing_now.result() == resealing.Resealed(8, 8, ())


def test_the_command_counts_and_names_what_it_cannot_open(hosts: Hosts) -> None:
    fill(hosts.store(A, OLD))
    hosts.store(A, ("lost",)).save_account("other-ca", Account(private_key()))
    gatecert = configured_host(hosts.database, A, hosts.directory, BOTH)
    done = gatecert.run("fleet", "reseal")
    assert done.exit_code == 1
    assert "7 of 8 private keys of cluster hq were sealed with another key" in done.output
    first, second = done.errors.splitlines()
    assert "the key of the account at other-ca is sealed with a key that this host" in first
    assert "list the key that sealed them in fleet.sealing_keys" in second

    hosts.database.execute("DELETE FROM account WHERE authority = 'other-ca' RETURNING 1")
    again = gatecert.run("fleet", "reseal")
    assert (again.exit_code, again.errors) == (0, "")
    assert "once every host lists that key first, the others may be removed" in again.output


def test_without_a_fleet_or_its_database_it_says_so(hosts: Hosts) -> None:
    gatecert = configured_host(hosts.database, A, hosts.directory)
    gatecert.configuration["fleet"]["database"]["hosts"] = ["127.0.0.1:1"]
    assert "refuses connections" in failed(gatecert.write().run("fleet", "reseal"))
    del gatecert.configuration["fleet"]
    assert "the configuration has no fleet" in failed(gatecert.write().run("fleet", "reseal"), 2)
