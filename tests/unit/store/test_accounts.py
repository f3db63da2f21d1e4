from __future__ import annotations

import errno
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from gatecert.errors import StorageError
from gatecert.model import Account

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.store.file_store import FileStore

Make = Callable[..., bytes]
Fail = Callable[[str, int], None]
Crash = Callable[[Callable[[], object], Callable[[], None]], int]


@pytest.fixture
def account(make_pem: Make) -> Account:
    return Account(
        make_pem("PRIVATE KEY", "ONE"), "https://ca/acct/1", "https://ca/dir", ("ops@example.com",)
    )


def directory(store: FileStore) -> Path:
    return store.directory / "accounts" / "letsencrypt"


def test_an_unknown_account_is_none(store: FileStore) -> None:
    assert store.account("letsencrypt") is None


def test_an_account_is_read_as_it_was_written(store: FileStore, account: Account) -> None:
    store.save_account("letsencrypt", account)
    assert store.account("letsencrypt") == account
    assert store.account("other") is None
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory(store).iterdir()} == {0o600}


def test_the_key_is_neither_in_the_record_nor_in_a_repr(store: FileStore, account: Account) -> None:
    store.save_account("letsencrypt", account)
    assert "ONE" not in (directory(store) / "account.json").read_text()
    assert "ONE" not in repr(store.account("letsencrypt"))


def test_an_unchanged_key_is_not_rewritten(
    store: FileStore, account: Account, steps: list[tuple[str, Path]]
) -> None:
    store.save_account("letsencrypt", account)
    steps.clear()
    store.save_account("letsencrypt", account)
    assert "key.pem" not in {path.name for name, path in steps if name != "read"}


@pytest.mark.parametrize("damage", [b"", b"garbage", b"{}", b'{"schema": 1, "url": 5}'])
def test_a_damaged_record_leaves_the_key(store: FileStore, account: Account, damage: bytes) -> None:
    store.save_account("letsencrypt", account)
    (directory(store) / "account.json").write_bytes(damage)
    assert store.account("letsencrypt") == Account(account.private_key)
    assert len(list(directory(store).glob("account.json.damaged-*"))) == 1


def test_a_record_for_another_key_leaves_only_the_key(
    store: FileStore, account: Account, make_pem: Make, caplog: pytest.LogCaptureFixture
) -> None:
    store.save_account("letsencrypt", account)
    other = make_pem("PRIVATE KEY", "TWO")
    (directory(store) / "key.pem").write_bytes(other)
    assert store.account("letsencrypt") == Account(other)
    assert "another key" in caplog.text


@pytest.mark.parametrize("damage", [b"", b"\0\0\0"])
def test_without_a_key_there_is_no_account(
    store: FileStore, account: Account, damage: bytes
) -> None:
    store.save_account("letsencrypt", account)
    (directory(store) / "key.pem").write_bytes(damage)
    assert store.account("letsencrypt") is None
    assert len(list(directory(store).glob("key.pem.damaged-*"))) == 1


def test_a_directory_in_place_of_the_key_is_no_account(store: FileStore) -> None:
    (directory(store) / "key.pem").mkdir(parents=True)
    (directory(store) / "key.pem" / "x").touch()
    (directory(store) / "account.json").write_text("{}")
    assert store.account("letsencrypt") is None


def test_a_crash_during_a_key_change_never_mixes_two_accounts(
    store: FileStore, account: Account, make_pem: Make, crash_everywhere: Crash
) -> None:
    new = Account(make_pem("PRIVATE KEY", "TWO"), "https://ca/acct/2", "https://ca/dir")
    seen: list[Account] = []

    def check() -> None:
        found = store.account("letsencrypt")
        assert found in {account, Account(new.private_key), new}
        if found not in seen:
            seen.append(found)
        if found != new:
            store.save_account("letsencrypt", account)

    store.save_account("letsencrypt", account)
    crash_everywhere(lambda: store.save_account("letsencrypt", new), check)
    assert seen == [account, Account(new.private_key), new]
    assert {path.name for path in directory(store).iterdir()} == {"key.pem", "account.json"}


def test_a_failed_write_is_a_storage_error(store: FileStore, account: Account, fail: Fail) -> None:
    fail("write", errno.ENOSPC)
    with pytest.raises(StorageError, match="disk full"):
        store.save_account("letsencrypt", account)
    assert store.account("letsencrypt") is None


# --------------------------------------------------------------------- another key


def test_the_next_key_is_stored_beside_the_current_one(
    store: FileStore, account: Account, make_pem: Make
) -> None:
    key = make_pem("PRIVATE KEY", "TWO")
    assert store.next_key("letsencrypt") is None
    store.remove_next_key("letsencrypt")
    store.save_next_key("letsencrypt", key)
    assert store.next_key("letsencrypt") == key
    store.save_account("letsencrypt", account)
    assert store.account("letsencrypt") == account
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory(store).iterdir()} == {0o600}
    store.remove_next_key("letsencrypt")
    assert store.next_key("letsencrypt") is None
    assert store.account("letsencrypt") == account


def test_an_interrupted_retirement_leaves_no_key_of_a_rollover(
    store: FileStore, account: Account, make_pem: Make, crash_everywhere: Crash
) -> None:
    def prepare() -> None:
        store.save_account("letsencrypt", account)
        store.save_next_key("letsencrypt", make_pem("PRIVATE KEY", "TWO"))

    def check() -> None:
        if store.account("letsencrypt") is None:
            assert store.next_key("letsencrypt") is None
        prepare()

    prepare()
    assert crash_everywhere(lambda: store.retire_account("letsencrypt"), check) > 9


def test_a_retired_account_leaves_only_its_key(
    store: FileStore, account: Account, make_pem: Make
) -> None:
    store.retire_account("letsencrypt")
    store.save_account("letsencrypt", account)
    store.save_next_key("letsencrypt", make_pem("PRIVATE KEY", "TWO"))
    store.retire_account("letsencrypt")
    assert store.account("letsencrypt") is None
    assert store.next_key("letsencrypt") is None
    (kept,) = directory(store).iterdir()
    assert kept.read_bytes() == account.private_key
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
