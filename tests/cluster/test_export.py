"""gatecert fleet export: what the hosts share, as plain files."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.pki import Pki, dns

from gatecert.certificate import key
from gatecert.certificate.request import build_request
from gatecert.model import (
    Account,
    CountedRequest,
    EnrolmentState,
    Expenses,
    GatewayState,
    HostState,
    IssuedChain,
    KeyRequest,
    KeyType,
    Limits,
    Origin,
    PendingOrder,
    RequestKind,
)
from gatecert.model.fleet import LONGEST_PERIOD
from gatecert.store.file_store import FileStore
from gatecert.store.postgres.expense_rows import ExpenseRows
from gatecert.store.postgres.fleet_store import FleetStore

from .configured_host import GATEWAY, configured_host, failed, sealing_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.gatecert import Gatecert

    from .conftest import FleetDatabase

A, B = "hq-gw-a", "hq-gw-b"
CA, URL = "letsencrypt", "https://ca.example/directory"
ORDER_URL, ACCOUNT_URL = "https://ca.example/order/2", "https://ca.example/account/1"
NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


def private_key() -> bytes:
    return key.generate(KeyType.ECDSA_P256)


def key_request(name: str) -> KeyRequest:
    made = private_key()
    return KeyRequest(
        name, NOW, made, build_request(made, dns("vpn.example.com"), common_name=None)
    )


def chain() -> IssuedChain:
    root = Pki().root()
    leaf = Pki().issue("vpn", root)
    return IssuedChain(leaf.key_pem, leaf.pem, root.pem, Origin.AUTHORITY, root=root.pem)


ACCOUNT = Account(private_key(), ACCOUNT_URL, URL, ("mailto:ops@example.com",))
NEXT_KEY, CHAIN, REQUEST = private_key(), chain(), key_request("order-2")
PENDING = PendingOrder(CA, URL, ORDER_URL, REQUEST.id, dns("vpn.example.com"), NOW)
ENROLMENT = EnrolmentState(failures=3, order=PENDING)
ORDER = CountedRequest(RequestKind.ORDER, NOW, account=ACCOUNT_URL)
CERTIFICATE = CountedRequest(RequestKind.CERTIFICATE, NOW, names=("vpn.example.com",))


@pytest.fixture
def issuer(database: FleetDatabase, tmp_path: Path) -> Iterator[FleetStore]:
    """Another host, which has enrolled, and has an order open for the renewal."""
    place = replace(database.place(B), sealing_keys=(sealing_key(tmp_path, "seal"),))
    store = FleetStore(tmp_path / "issuer", place, pause=0.0)
    store.save_account(CA, ACCOUNT)
    store.save_next_key(CA, NEXT_KEY)
    for request, issued in ((key_request("order-1"), CHAIN), (REQUEST, None)):
        store.state(GATEWAY)
        with store.lease(GATEWAY) as lease:
            spent = Expenses(NOW, (ORDER, CERTIFICATE))
            store.open_order(GATEWAY, request, URL, spent, Limits(), lease=lease)
            if issued is not None:
                store.add_version(GATEWAY, issued, now=NOW)
            else:
                store.save_state(GATEWAY, GatewayState(ENROLMENT, HostState(next_look=NOW)))
    yield store
    store.database.close()


@pytest.fixture
def gatecert(database: FleetDatabase, tmp_path: Path) -> Gatecert:
    """The host that exports."""
    return configured_host(database, A, tmp_path)


def check_exported(files: FileStore) -> None:
    assert files.account(CA) == ACCOUNT
    assert files.next_key(CA) == NEXT_KEY
    assert files.state(GATEWAY).enrolment == ENROLMENT
    (version,) = files.versions(GATEWAY)
    assert files.issued(version) == CHAIN
    (request,) = files.requests(GATEWAY)
    assert (request.id, request.private_key, request.csr) == (
        REQUEST.id,
        REQUEST.private_key,
        REQUEST.csr,
    )
    counted = sorted(each.kind for each in files.counted_requests(URL))
    assert counted == [RequestKind.CERTIFICATE] * 2 + [RequestKind.ORDER] * 2
    accounts = {each.account for each in files.counted_requests(URL)}
    assert accounts == {"", ACCOUNT_URL}


@pytest.mark.usefixtures("issuer")
def test_everything_is_in_the_state_directory(gatecert: Gatecert) -> None:
    for _ in range(2):
        done = gatecert.run("fleet", "export")
        assert (done.exit_code, done.errors) == (0, "")
        assert done.output.splitlines() == [
            f"account {CA}: exported",
            "counted requests of the last days: 4",
            f"gateway {GATEWAY}: exported, generation 1, with its open order",
            f"next: remove fleet from {gatecert.configuration_file}, and start the daemon",
        ]
        check_exported(FileStore(gatecert.state_directory))


@pytest.mark.usefixtures("issuer")
@pytest.mark.parametrize("to", ["", "exported"])
def test_of_a_gateway_that_became_custom_the_host_keeps_its_own(
    gatecert: Gatecert, tmp_path: Path, to: str
) -> None:
    """The rows still have what the hosts shared before."""
    own, known = FileStore(gatecert.state_directory), EnrolmentState(accepted_roots=("CN=Own",))
    own.save_state(GATEWAY, GatewayState(known))
    own.add_request(GATEWAY, key_request("custom-1"))
    gatecert.configuration["gateways"][GATEWAY]["mode"] = "custom"
    argv = ("--to", str(tmp_path / to)) if to else ()
    done = gatecert.write().run("fleet", "export", *argv)
    assert (done.exit_code, done.errors) == (0, "")
    assert f"gateway {GATEWAY}: nothing of it is shared\n" in done.output
    files = FileStore(tmp_path / to) if to else own
    assert files.state(GATEWAY).enrolment == known
    assert [each.id for each in files.requests(GATEWAY)] == ["custom-1"]


@pytest.mark.usefixtures("issuer")
def test_another_directory_is_written_while_the_daemon_runs(
    gatecert: Gatecert, tmp_path: Path
) -> None:
    own = FileStore(gatecert.state_directory)
    imported = replace(CHAIN, origin=Origin.IMPORTED)
    own.add_version("manual", imported, now=NOW)
    own.add_request("manual", key_request("custom-1"))
    gatecert.add_gateway("manual", "manual.example.com", mode="custom").write()
    target = tmp_path / "exported"
    with gatecert:
        done = gatecert.run("fleet", "export", GATEWAY, "manual", "--to", str(target))
    assert (done.exit_code, done.errors) == (0, "")
    assert "gateway manual: nothing of it is shared\n" in done.output
    files = FileStore(target)
    (version,) = files.versions("manual")
    assert files.issued(version) == imported
    assert [each.id for each in files.requests("manual")] == ["custom-1"]
    assert files.account(CA) == ACCOUNT
    assert CHAIN in [files.issued(each) for each in files.versions(GATEWAY)]


def test_what_was_closed_since_is_not_exported(issuer: FleetStore, gatecert: Gatecert) -> None:
    assert gatecert.run("fleet", "export").exit_code == 0
    issuer.remove_request(GATEWAY, REQUEST.id)
    issuer.remove_next_key(CA)
    assert gatecert.run("fleet", "export").exit_code == 0
    files = FileStore(gatecert.state_directory)
    assert files.requests(GATEWAY) == ()
    assert files.next_key(CA) is None


def test_validations_that_succeeded_do_not_count(issuer: FleetStore, gatecert: Gatecert) -> None:
    names = ("vpn.example.com",)
    validation = CountedRequest(RequestKind.VALIDATION, NOW, f"{ORDER_URL} vpn", ACCOUNT_URL, names)
    issuer.count_requests(URL, Expenses(NOW, (validation,)), Limits())
    issuer.count_requests(URL, Expenses(NOW, validated=ORDER_URL), Limits())
    assert "counted requests of the last days: 4\n" in gatecert.run("fleet", "export").output


@pytest.mark.parametrize(
    ("age", "exported"), [(LONGEST_PERIOD - HOUR, 5), (LONGEST_PERIOD + HOUR, 4)]
)
def test_requests_are_exported_for_as_long_as_a_limit_may_count_them(
    issuer: FleetStore, gatecert: Gatecert, age: timedelta, exported: int
) -> None:
    with issuer.database.transaction() as rows:
        earlier = replace(ORDER, at=NOW - age, id="earlier")
        ExpenseRows(rows, URL).insert([earlier])
    told = gatecert.run("fleet", "export").output
    assert f"counted requests of the last days: {exported}\n" in told
    assert len(FileStore(gatecert.state_directory).counted_requests(URL)) == exported


def test_a_host_that_orders_at_the_moment_is_not_cut_off(
    issuer: FleetStore, gatecert: Gatecert
) -> None:
    issuer.state(GATEWAY)
    with issuer.lease(GATEWAY):
        refused = gatecert.run("fleet", "export")
    assert refused.exit_code == 1
    assert f"another host orders for gateway {GATEWAY} at the moment" in refused.errors
    assert FileStore(gatecert.state_directory).requests(GATEWAY) == ()


@pytest.mark.usefixtures("issuer")
def test_a_running_daemon_is_not_exported_under(gatecert: Gatecert) -> None:
    with gatecert:
        gatecert.wait_bootstrapped(GATEWAY)
        error = failed(gatecert.run("fleet", "export"), 3)
    assert "so gatecert fleet export has changed nothing (systemctl stop gatecert, then" in error


@pytest.mark.usefixtures("issuer")
def test_a_used_directory_is_not_written(gatecert: Gatecert, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    refused = gatecert.run("fleet", "export", "--to", str(tmp_path / "used"))
    assert "is not empty, so nothing was exported" in failed(refused, 2)


def test_what_cannot_be_opened_or_reached_is_not_exported(
    issuer: FleetStore, database: FleetDatabase, gatecert: Gatecert, tmp_path: Path
) -> None:
    with closing(issuer.database):
        other = configured_host(database, A, tmp_path, ("other-seal",))
        assert "is sealed with a key that this host does not have" in failed(
            other.run("fleet", "export")
        )
    gatecert.configuration["fleet"]["database"]["hosts"] = ["127.0.0.1:1"]
    assert "refuses connections" in failed(gatecert.write().run("fleet", "export"))
    del gatecert.configuration["fleet"]
    assert "the configuration has no fleet" in failed(gatecert.write().run("fleet", "export"), 2)
    assert not (gatecert.state_directory / "accounts").exists()
