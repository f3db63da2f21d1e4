"""Change the account key; a crash at any step loses no account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.acme_server import DIRECTORY_URL, answer, problem
from tests.fakes.acme_stores import Accounts
from tests.fakes.clock import Timeless

from gatecert.acme.account_key import KeyChange, new_account_key
from gatecert.acme.client import Client
from gatecert.errors import AccountMissingError, ACMEError, AuthorityError, StorageError

if TYPE_CHECKING:
    from tests.fakes.acme_server import FakeAuthority

    from gatecert.deadline import Deadline
    from gatecert.model import Account

NAME = "acme"


class Crash(BaseException):
    """The process is gone."""


@pytest.fixture
def accounts(account: Account) -> Accounts:
    accounts = Accounts()
    accounts.save_account(NAME, account)
    return accounts


@pytest.fixture
def change(accounts: Accounts, client: Client) -> KeyChange:
    return KeyChange(NAME, accounts, client)


def test_only_the_new_key_signs_after_a_change(
    change: KeyChange, accounts: Accounts, account: Account, client: Client
) -> None:
    deadline = Timeless(60.0)
    changed = change.change(account, deadline)

    assert changed.private_key != account.private_key
    assert (changed.url, changed.directory_url) == (account.url, account.directory_url)
    assert accounts.kept[NAME] == changed
    assert not change.is_pending
    assert client.fetch_account(changed, deadline).status == "valid"
    with pytest.raises(ACMEError, match="verification"):
        client.fetch_account(account, deadline)
    with pytest.raises(AccountMissingError):
        client.find_account(account.private_key, deadline)


def test_the_new_key_is_stored_before_it_is_sent(
    change: KeyChange,
    accounts: Accounts,
    account: Account,
    authority: FakeAuthority,
    deadline: Deadline,
) -> None:
    accounts.trouble["save_next_key"] = StorageError("disk full")
    with pytest.raises(StorageError):
        change.change(account, deadline)
    assert authority.sent("key-change") == []


def test_a_key_that_cannot_be_read_back_is_not_sent(
    change: KeyChange,
    accounts: Accounts,
    account: Account,
    authority: FakeAuthority,
    deadline: Deadline,
) -> None:
    accounts.forgets = True
    with pytest.raises(StorageError, match="read back"):
        change.change(account, deadline)
    assert authority.sent("key-change") == []


def test_a_crash_before_the_request_keeps_both_keys(
    change: KeyChange, accounts: Accounts, account: Account, deadline: Deadline
) -> None:
    key = new_account_key()
    accounts.save_next_key(NAME, key)
    assert change.complete(account, deadline) == account
    assert change.is_pending
    assert change.change(account, deadline).private_key == key


def test_a_crash_after_the_request_is_completed(
    change: KeyChange, accounts: Accounts, account: Account, client: Client, deadline: Deadline
) -> None:
    accounts.trouble["save_account"] = Crash()
    with pytest.raises(Crash):
        change.change(account, deadline)
    accounts.trouble.clear()
    assert accounts.kept[NAME] == account

    completed = change.complete(account, deadline)
    assert completed.private_key != account.private_key
    assert accounts.kept[NAME] == completed
    assert not change.is_pending
    assert client.fetch_account(completed, deadline).status == "valid"


def test_a_crash_before_the_clean_up_needs_no_request(
    change: KeyChange,
    accounts: Accounts,
    account: Account,
    authority: FakeAuthority,
    deadline: Deadline,
) -> None:
    accounts.save_next_key(NAME, account.private_key)
    asked = len(authority.requests)
    assert change.complete(account, deadline) == account
    assert not change.is_pending
    assert len(authority.requests) == asked


def test_a_lost_response_is_completed(
    change: KeyChange,
    accounts: Accounts,
    account: Account,
    authority: FakeAuthority,
    deadline: Deadline,
) -> None:
    authority.queued["key-change"].append(AuthorityError("cut off"))
    with pytest.raises(AuthorityError, match="cut off"):
        change.change(account, deadline)
    assert change.is_pending
    assert change.complete(account, deadline) == account
    changed = change.change(account, deadline)
    assert accounts.kept[NAME] == changed != account


def test_a_key_of_another_account_is_not_adopted(
    change: KeyChange, accounts: Accounts, account: Account, client: Client, deadline: Deadline
) -> None:
    key = new_account_key()
    other = client.new_account(key, (), deadline)
    accounts.save_next_key(NAME, key)
    assert other != account.url
    assert change.complete(account, deadline) == account
    with pytest.raises(ACMEError, match="in use"):
        change.change(account, deadline)
    assert accounts.kept[NAME] == account


def test_a_conflict_after_a_successful_change_is_success(
    change: KeyChange,
    accounts: Accounts,
    account: Account,
    authority: FakeAuthority,
    client: Client,
    deadline: Deadline,
) -> None:
    key = new_account_key()
    client.change_key(account, key, deadline)
    accounts.save_next_key(NAME, key)
    authority.queued["key-change"].append(problem("malformed", "the key is in use", 409))
    assert change.change(account, deadline).private_key == key
    assert accounts.kept[NAME].private_key == key


def test_another_refusal_is_reported(
    change: KeyChange,
    accounts: Accounts,
    account: Account,
    authority: FakeAuthority,
    deadline: Deadline,
) -> None:
    authority.queued["key-change"].append(problem("badPublicKey"))
    with pytest.raises(ACMEError, match="badPublicKey"):
        change.change(account, deadline)
    assert accounts.kept[NAME] == account


def test_a_ca_without_key_change(
    account: Account, authority: FakeAuthority, deadline: Deadline
) -> None:
    urls = {name: f"https://ca.test/{name}" for name in ("newNonce", "newAccount", "newOrder")}
    authority.queued["directory"].append(answer(200, urls))
    fresh = Client("acme", DIRECTORY_URL, transport=authority)
    with pytest.raises(AuthorityError, match="does not change account keys"):
        fresh.change_key(account, new_account_key(), deadline)
