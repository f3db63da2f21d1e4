"""Show an account, change its key, deactivate it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.acme_server import DIRECTORY_URL, TERMS, answer, problem
from tests.fakes.acme_stores import Accounts

from gatecert.acme.account_administration import AccountAdministration, AccountStatus
from gatecert.acme.account_key import new_account_key
from gatecert.errors import (
    ACMEError,
    AuthorityError,
    AuthorityUnreachableError,
    WrongUsageError,
)
from gatecert.model import Account

if TYPE_CHECKING:
    from tests.fakes.acme_server import FakeAuthority

    from gatecert.acme.client import Client
    from gatecert.config.schema.authority import AuthoritySettings
    from gatecert.deadline import Deadline

NAME = "acme"


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def administration(
    settings: AuthoritySettings, accounts: Accounts, client: Client
) -> AccountAdministration:
    return AccountAdministration(settings, accounts, client)


# --------------------------------------------------------------------- show


def test_a_missing_account_is_reported_without_a_request(
    administration: AccountAdministration, authority: FakeAuthority, deadline: Deadline
) -> None:
    assert administration.status(deadline) == AccountStatus(NAME, DIRECTORY_URL)
    assert authority.requests == []


def test_the_account_is_reported_as_the_ca_has_it(
    administration: AccountAdministration,
    accounts: Accounts,
    account: Account,
    authority: FakeAuthority,
    deadline: Deadline,
) -> None:
    accounts.save_account(NAME, replace(account, contact=("mailto:old@example.com",)))
    authority.contact = ["mailto:ops@example.com"]
    view = administration.status(deadline)
    assert (view.url, view.status) == (account.url, "valid")
    assert view.contact == ("mailto:ops@example.com",)
    assert len(view.key_fingerprint) == 64
    assert view.terms_of_service == TERMS
    assert (view.problem, view.key_change_pending) == ("", False)
    authority.contact = []
    assert administration.status(deadline).contact == ("mailto:old@example.com",)


def test_an_account_is_found_by_its_key(
    administration: AccountAdministration, accounts: Accounts, account: Account, deadline: Deadline
) -> None:
    accounts.save_account(NAME, Account(account.private_key))
    view = administration.status(deadline)
    assert view.status == "valid"
    accounts.save_account(NAME, Account(new_account_key()))
    assert (administration.status(deadline).url, administration.status(deadline).status) == (
        "",
        "none",
    )


def test_an_interrupted_key_change_is_reported(
    administration: AccountAdministration, accounts: Accounts, account: Account, deadline: Deadline
) -> None:
    accounts.save_account(NAME, account)
    accounts.save_next_key(NAME, new_account_key())
    assert administration.status(deadline).key_change_pending


def test_the_reason_for_an_unknown_status_is_reported(
    administration: AccountAdministration,
    accounts: Accounts,
    account: Account,
    authority: FakeAuthority,
    deadline: Deadline,
) -> None:
    accounts.save_account(NAME, account)
    authority.queued["account"].append(AuthorityUnreachableError("nobody there"))
    view = administration.status(deadline)
    assert (view.status, view.problem, view.url) == ("unknown", "nobody there", account.url)


# --------------------------------------------------------------------- rollover


def test_the_account_key_is_changed(
    administration: AccountAdministration, accounts: Accounts, account: Account, deadline: Deadline
) -> None:
    accounts.save_account(NAME, account)
    changed, finished = administration.change_key(deadline)
    assert not finished
    assert changed.url == account.url
    assert accounts.kept[NAME] == changed != account


def test_a_change_that_succeeded_at_the_ca_is_completed_only(
    administration: AccountAdministration,
    accounts: Accounts,
    account: Account,
    client: Client,
    authority: FakeAuthority,
    deadline: Deadline,
) -> None:
    accounts.save_account(NAME, account)
    key = new_account_key()
    accounts.save_next_key(NAME, key)
    client.change_key(account, key, deadline)
    changed, finished = administration.change_key(deadline)
    assert finished
    assert changed.private_key == key
    assert len(authority.sent("key-change")) == 1


def test_a_change_that_failed_at_the_ca_is_repeated_with_the_same_key(
    administration: AccountAdministration, accounts: Accounts, account: Account, deadline: Deadline
) -> None:
    accounts.save_account(NAME, account)
    key = new_account_key()
    accounts.save_next_key(NAME, key)
    changed, finished = administration.change_key(deadline)
    assert not finished
    assert changed.private_key == key


def test_no_key_is_changed_without_an_account(
    administration: AccountAdministration, authority: FakeAuthority, deadline: Deadline
) -> None:
    with pytest.raises(WrongUsageError, match="there is no account"):
        administration.change_key(deadline)
    with pytest.raises(WrongUsageError, match="there is no account"):
        administration.deactivate(deadline)
    assert authority.accounts == {}


# --------------------------------------------------------------------- deactivate


def test_a_deactivated_account_is_retired(
    administration: AccountAdministration,
    accounts: Accounts,
    account: Account,
    client: Client,
    deadline: Deadline,
) -> None:
    accounts.save_account(NAME, account)
    assert administration.deactivate(deadline).url == account.url
    assert accounts.retired == [NAME]
    with pytest.raises(ACMEError, match="deactivated"):
        client.fetch_account(account, deadline)


def test_deactivation_can_be_repeated_after_a_crash(
    administration: AccountAdministration,
    accounts: Accounts,
    account: Account,
    client: Client,
    deadline: Deadline,
) -> None:
    accounts.save_account(NAME, account)
    client.deactivate(account, deadline)
    assert administration.status(deadline).status == "deactivated"
    administration.deactivate(deadline)
    assert accounts.retired == [NAME]


def test_an_account_unknown_to_the_ca_is_retired(
    administration: AccountAdministration,
    accounts: Accounts,
    account: Account,
    authority: FakeAuthority,
    deadline: Deadline,
) -> None:
    accounts.save_account(NAME, account)
    authority.accounts.clear()
    administration.deactivate(deadline)
    assert accounts.retired == [NAME]


def test_the_account_stays_if_the_ca_refuses(
    administration: AccountAdministration,
    accounts: Accounts,
    account: Account,
    authority: FakeAuthority,
    deadline: Deadline,
) -> None:
    accounts.save_account(NAME, account)
    authority.queued["account"].append(problem("serverInternal", "no", 400))
    with pytest.raises(ACMEError):
        administration.deactivate(deadline)
    assert accounts.kept[NAME] == account
    assert accounts.retired == []


def test_the_account_stays_if_the_ca_ignores_the_deactivation(
    administration: AccountAdministration,
    accounts: Accounts,
    account: Account,
    authority: FakeAuthority,
    deadline: Deadline,
) -> None:
    accounts.save_account(NAME, account)
    authority.queued["account"].append(answer(body={"status": "valid"}))
    with pytest.raises(AuthorityError, match="the account is still valid"):
        administration.deactivate(deadline)
    assert accounts.kept[NAME] == account
    assert accounts.retired == []
