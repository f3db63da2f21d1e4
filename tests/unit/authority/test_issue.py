from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from tests.unit.authority.conftest import (
    BASE,
    NOW,
    Accounts,
    FakeAuthority,
    FakeSolver,
    Journal,
    Told,
    dns,
    problem,
)
from tests.unit.authority.test_renewal_info import SUMMARY

from gatecert.authority.issue import Issuer
from gatecert.errors import AccountMissingError, AuthorityError, InterruptedOrderError
from gatecert.model import Target

if TYPE_CHECKING:
    from gatecert.authority.client import Client
    from gatecert.config.schema.authority import AuthoritySettings


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def issuer(settings: AuthoritySettings, accounts: Accounts, client: Client) -> Issuer:
    return Issuer(settings, accounts, {"http-01": FakeSolver()}, client=client)


@pytest.fixture
def journal(target: Target) -> Journal:
    return Journal(target)


def test_a_certificate_is_obtained(
    issuer: Issuer, target: Target, journal: Journal, accounts: Accounts
) -> None:
    issued = issuer.obtain(target, journal, progress=Told(), now=lambda: NOW)

    assert issued.authority == "acme"
    assert accounts.kept["acme"].url


def test_an_account_that_the_authority_forgot_costs_the_order_but_not_the_key(
    issuer: Issuer,
    target: Target,
    journal: Journal,
    accounts: Accounts,
    authority: FakeAuthority,
) -> None:
    issuer.obtain(target, journal, progress=Told(), now=lambda: NOW)
    before, first = accounts.kept["acme"], journal.order
    authority.accounts.clear()
    authority.orders.clear()

    issued = issuer.obtain(target, journal, progress=Told(), now=lambda: NOW)

    after = accounts.kept["acme"]
    assert after.private_key == before.private_key
    assert after.url != before.url
    assert first is not None
    assert issued.order_url != first.url
    assert journal.forgotten == 1


def test_an_account_that_is_forgotten_again_and_again_is_told(
    issuer: Issuer, target: Target, journal: Journal, authority: FakeAuthority
) -> None:
    authority.queued["new-order"].extend([problem("accountDoesNotExist")] * 2)

    with pytest.raises(AccountMissingError):
        issuer.obtain(target, journal, progress=Told(), now=lambda: NOW)


def test_gateways_enrol_at_the_same_time_with_one_account(
    issuer: Issuer, authority: FakeAuthority
) -> None:
    names = [f"gateway-{number}.example.com" for number in range(6)]
    urls: set[str] = set()

    def enrol(name: str) -> None:
        target = Target("boston", dns(name), name)
        issued = issuer.obtain(target, Journal(target), progress=Told(), now=lambda: NOW)
        urls.add(issued.order_url)

    threads = [threading.Thread(target=enrol, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(urls) == len(names)
    assert len(authority.sent("new-account")) == 1


def test_stopping_leaves_the_order_to_be_taken_up(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    target: Target,
    journal: Journal,
) -> None:
    cancelled = threading.Event()
    solver = FakeSolver(fetched=False)
    issuer = Issuer(settings, accounts, {"http-01": solver}, client=client)
    threading.Timer(0.05, cancelled.set).start()

    with pytest.raises(InterruptedOrderError):
        issuer.obtain(target, journal, progress=Told(), now=lambda: NOW, cancelled=cancelled)

    assert journal.order is not None
    assert solver.events[-1].startswith("clean up")
    solver.fetched = True
    issued = issuer.obtain(target, journal, progress=Told(), now=lambda: NOW)
    assert issued.order_url == journal.order.url


def test_renewal_information_needs_no_account(issuer: Issuer, accounts: Accounts) -> None:
    info = issuer.renewal_info(SUMMARY, now=lambda: NOW)

    assert info.renew_at is not None
    assert accounts.kept == {}


def test_an_issuer_makes_its_client_when_it_is_first_needed(
    settings: AuthoritySettings, accounts: Accounts, target: Target, journal: Journal
) -> None:
    stern = settings.model_copy(update={"ca_bundle": None, "directory_url": "http://ca.test/"})
    issuer = Issuer(stern, accounts, {})

    with pytest.raises(AuthorityError, match="not an https:// URL"):
        issuer.obtain(target, journal, progress=Told(), now=lambda: NOW)

    assert BASE not in str(issuer)
