from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.acme_server import DIRECTORY_URL, TERMS, FakeAuthority, answer, problem
from tests.fakes.acme_stores import UNLIMITED, Accounts

from gatecert.acme.account import AccountRegistrar
from gatecert.acme.account_key import KeyChange
from gatecert.certificate.key import kind, load
from gatecert.config.schema.authority import AuthoritySettings, ExternalAccountSettings
from gatecert.errors import (
    ACMEError,
    AuthorityError,
    AuthorityServerError,
    StorageError,
    TermsNotAgreedError,
)
from gatecert.model import Account, KeyType

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.acme.client import Client
    from gatecert.deadline import Deadline


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def registrar(settings: AuthoritySettings, accounts: Accounts, client: Client) -> AccountRegistrar:
    return AccountRegistrar(settings, accounts, client)


def test_an_account_is_created_once(
    registrar: AccountRegistrar, accounts: Accounts, authority: FakeAuthority, deadline: Deadline
) -> None:
    account = registrar.ensure_account(deadline, UNLIMITED)

    assert registrar.ensure_account(deadline, UNLIMITED) == account
    assert accounts.kept["acme"] == account
    assert account.directory_url == DIRECTORY_URL
    assert b"BEGIN PRIVATE KEY" in account.private_key
    assert len(authority.sent("new-account")) == 1


def test_the_key_is_stored_before_it_is_sent(
    registrar: AccountRegistrar, accounts: Accounts, authority: FakeAuthority, deadline: Deadline
) -> None:
    authority.queued["new-account"].append(problem("serverInternal", status=500))

    with pytest.raises(AuthorityError):
        registrar.ensure_account(deadline, UNLIMITED)

    (kept,) = accounts.history
    assert kept.url == ""
    assert registrar.ensure_account(deadline, UNLIMITED).private_key == kept.private_key


def test_no_account_is_created_if_the_key_cannot_be_stored(
    registrar: AccountRegistrar,
    accounts: Accounts,
    authority: FakeAuthority,
    deadline: Deadline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise StorageError("disk full")

    monkeypatch.setattr(accounts, "save_account", full)

    with pytest.raises(StorageError):
        registrar.ensure_account(deadline, UNLIMITED)

    assert authority.requests == []


def test_the_key_of_a_faster_process_is_used(
    registrar: AccountRegistrar,
    accounts: Accounts,
    account_key: bytes,
    deadline: Deadline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save = accounts.save_account

    def raced(authority: str, account: Account) -> None:
        save(authority, account if account.url else Account(account_key))

    monkeypatch.setattr(accounts, "save_account", raced)

    assert registrar.ensure_account(deadline, UNLIMITED).private_key == account_key


def test_a_lost_account_is_found_by_its_key(
    registrar: AccountRegistrar,
    accounts: Accounts,
    account: Account,
    authority: FakeAuthority,
    deadline: Deadline,
) -> None:
    accounts.kept["acme"] = Account(account.private_key)

    assert registrar.ensure_account(deadline, UNLIMITED) == account
    assert authority.sent("new-account")[-1].payload == {"onlyReturnExisting": True}


def test_finding_a_lost_account_needs_no_terms(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    account: Account,
    deadline: Deadline,
) -> None:
    accounts.kept["acme"] = Account(account.private_key)
    stern = settings.model_copy(update={"terms_of_service_agreed": False})

    assert AccountRegistrar(stern, accounts, client).ensure_account(deadline, UNLIMITED) == account


def test_each_directory_has_its_own_account(
    registrar: AccountRegistrar, accounts: Accounts, account_key: bytes, deadline: Deadline
) -> None:
    accounts.kept["acme"] = Account(account_key, "https://other/1", "https://other/directory")

    account = registrar.ensure_account(deadline, UNLIMITED)

    assert account.directory_url == DIRECTORY_URL
    assert account.url != "https://other/1"
    assert account.private_key == account_key


def test_an_account_unknown_to_the_ca_is_created_again_with_its_key(
    registrar: AccountRegistrar, accounts: Accounts, authority: FakeAuthority, deadline: Deadline
) -> None:
    before = registrar.ensure_account(deadline, UNLIMITED)
    authority.accounts.clear()

    registrar.mark_unknown(before)
    after = registrar.ensure_account(deadline, UNLIMITED)

    assert after.private_key == before.private_key
    assert after.url != before.url
    assert registrar.ensure_account(deadline, UNLIMITED) == after
    assert accounts.kept["acme"] == after


def test_an_account_marked_unknown_by_mistake_is_used_again(
    registrar: AccountRegistrar, authority: FakeAuthority, deadline: Deadline
) -> None:
    account = registrar.ensure_account(deadline, UNLIMITED)
    registrar.mark_unknown(account)

    assert registrar.ensure_account(deadline, UNLIMITED) == account
    assert registrar.ensure_account(deadline, UNLIMITED) == account
    assert len(authority.sent("new-account")) == 2


def test_terms_of_service_must_be_agreed_to(
    settings: AuthoritySettings, accounts: Accounts, client: Client, deadline: Deadline
) -> None:
    stern = settings.model_copy(update={"terms_of_service_agreed": False})

    with pytest.raises(TermsNotAgreedError) as caught:
        AccountRegistrar(stern, accounts, client).ensure_account(deadline, UNLIMITED)

    assert TERMS in caught.value.fix
    assert "authorities.acme.terms_of_service_agreed: true" in caught.value.fix


def test_a_ca_without_terms_needs_no_agreement(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    authority: FakeAuthority,
    deadline: Deadline,
) -> None:
    authority.meta = {}
    stern = settings.model_copy(update={"terms_of_service_agreed": False})

    assert AccountRegistrar(stern, accounts, client).ensure_account(deadline, UNLIMITED).url


def test_threads_create_one_account(
    registrar: AccountRegistrar, authority: FakeAuthority, deadline: Deadline
) -> None:
    threads = [
        threading.Thread(target=registrar.ensure_account, args=(deadline, UNLIMITED))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(authority.accounts) == 1
    assert len(authority.sent("new-account")) == 1


# --------------------------------------------------------------------------- contact


def with_contact(settings: AuthoritySettings, *addresses: str) -> AuthoritySettings:
    return settings.model_copy(update={"contact": addresses})


def test_contact_is_sent_again_when_it_changes(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    authority: FakeAuthority,
    deadline: Deadline,
) -> None:
    old = AccountRegistrar(with_contact(settings, "a@example.com"), accounts, client)
    old.ensure_account(deadline, UNLIMITED)
    old.ensure_account(deadline, UNLIMITED)
    assert authority.sent("account") == []

    new = AccountRegistrar(with_contact(settings, "b@example.com"), accounts, client)
    account = new.ensure_account(deadline, UNLIMITED)

    assert new.ensure_account(deadline, UNLIMITED) == account == accounts.kept["acme"]
    assert account.contact == ("mailto:b@example.com",)
    (update,) = authority.sent("account")
    assert update.payload == {"contact": ["mailto:b@example.com"]}


# --------------------------------------------------------------------------- EAB


def bound(
    settings: AuthoritySettings, accounts: Accounts, client: Client, file: Path
) -> AccountRegistrar:
    external = ExternalAccountSettings(key_id="kid-1", hmac_key_file=file)
    return AccountRegistrar(
        settings.model_copy(update={"external_account": external}), accounts, client
    )


REFUSED_ALGORITHM = "this CA takes RSA keys only"


@pytest.mark.parametrize(
    ("algorithms", "taken"),
    [(["RS256"], KeyType.RSA_2048), (["ES384", "RS256"], KeyType.ECDSA_P384)],
)
def test_a_refused_account_key_is_replaced_by_an_accepted_type(
    registrar: AccountRegistrar,
    accounts: Accounts,
    authority: FakeAuthority,
    deadline: Deadline,
    algorithms: list[str],
    taken: KeyType,
) -> None:
    refusal = {
        "type": "urn:ietf:params:acme:error:badSignatureAlgorithm",
        "detail": REFUSED_ALGORITHM,
        "algorithms": algorithms,
    }
    authority.queued["new-account"].append(answer(400, refusal))
    account = registrar.ensure_account(deadline, UNLIMITED)
    assert kind(load(account.private_key)) is taken
    assert accounts.kept["acme"] == account
    assert authority.sent("new-account")[-1].header["alg"] == algorithms[0]


@pytest.mark.parametrize("algorithms", [[], ["HS256"], ["ES256"]])
def test_no_other_key_is_tried_if_the_ca_names_no_algorithm(
    registrar: AccountRegistrar, authority: FakeAuthority, deadline: Deadline, algorithms: list[str]
) -> None:
    refusal = {
        "type": "urn:ietf:params:acme:error:badSignatureAlgorithm",
        "detail": REFUSED_ALGORITHM,
        "algorithms": algorithms,
    }
    authority.queued["new-account"].append(answer(400, refusal))
    with pytest.raises(ACMEError, match="RSA keys only") as caught:
        registrar.ensure_account(deadline, UNLIMITED)
    assert "account_key" in caught.value.fix
    assert len(authority.sent("new-account")) == 1


def test_the_account_key_has_the_configured_type(
    settings: AuthoritySettings, accounts: Accounts, client: Client, deadline: Deadline
) -> None:
    rsa = settings.model_copy(update={"account_key": KeyType.RSA_2048})
    account = AccountRegistrar(rsa, accounts, client).ensure_account(deadline, UNLIMITED)
    assert kind(load(account.private_key)) is KeyType.RSA_2048
    changed = KeyChange("acme", accounts, client, KeyType.ECDSA_P384).change(account, deadline)
    assert kind(load(changed.private_key)) is KeyType.ECDSA_P384
    assert changed.url == account.url


def test_a_refused_contact_is_omitted(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    authority: FakeAuthority,
    deadline: Deadline,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = settings.model_copy(update={"contact": ("ops@example.com",)})
    registrar = AccountRegistrar(settings, accounts, client)
    authority.queued["new-account"].append(problem("invalidContact", "example.com is forbidden"))
    assert registrar.ensure_account(deadline, UNLIMITED).url
    first, second = authority.sent("new-account")
    assert (first.payload or {})["contact"]
    assert "contact" not in (second.payload or {})
    assert "example.com is forbidden" in caplog.text


def test_the_first_refusal_of_a_contact_is_reported(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    authority: FakeAuthority,
    deadline: Deadline,
) -> None:
    settings = settings.model_copy(update={"contact": ("ops@example.com",)})
    registrar = AccountRegistrar(settings, accounts, client)
    authority.queued["new-account"] += [
        problem("invalidContact", "that one is forbidden"),
        problem("invalidContact", "there has to be one"),
    ]
    with pytest.raises(ACMEError, match="that one is forbidden"):
        registrar.ensure_account(deadline, UNLIMITED)


def test_a_failed_contact_update_does_not_block_orders(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    authority: FakeAuthority,
    deadline: Deadline,
) -> None:
    account = AccountRegistrar(settings, accounts, client).ensure_account(deadline, UNLIMITED)
    other = settings.model_copy(update={"contact": ("new@corp.test",)})
    authority.queued["account"].append(problem("serverInternal", status=500))
    assert AccountRegistrar(other, accounts, client).ensure_account(deadline, UNLIMITED) == account
    updated = AccountRegistrar(other, accounts, client).ensure_account(deadline, UNLIMITED)
    assert updated.contact == ("mailto:new@corp.test",)


def test_a_ca_without_account_lookup_gets_a_new_account_request(
    registrar: AccountRegistrar, accounts: Accounts, authority: FakeAuthority, deadline: Deadline
) -> None:
    account = registrar.ensure_account(deadline, UNLIMITED)
    accounts.kept["acme"] = Account(account.private_key)
    authority.queued["new-account"].append(problem("malformed", "what is onlyReturnExisting?"))
    assert registrar.ensure_account(deadline, UNLIMITED).url == account.url


def test_a_relative_account_url_is_resolved(
    registrar: AccountRegistrar, accounts: Accounts, deadline: Deadline
) -> None:
    account = registrar.ensure_account(deadline, UNLIMITED)
    accounts.kept["acme"] = replace(account, url="/account/1")
    assert registrar.ensure_account(deadline, UNLIMITED).url == account.url
    assert accounts.kept["acme"].url == account.url


def test_a_required_binding_is_missing(
    registrar: AccountRegistrar, authority: FakeAuthority, deadline: Deadline
) -> None:
    authority.meta["externalAccountRequired"] = True

    with pytest.raises(AuthorityError, match=r"set authorities\.acme\.external_account"):
        registrar.ensure_account(deadline, UNLIMITED)

    assert authority.sent("new-account") == []


def test_a_binding_is_sent(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    authority: FakeAuthority,
    deadline: Deadline,
    hmac_file: Path,
) -> None:
    bound(settings, accounts, client, hmac_file).ensure_account(deadline, UNLIMITED)

    payload = authority.sent("new-account")[0].payload or {}
    assert set(payload["externalAccountBinding"]) == {"protected", "payload", "signature"}


def test_plain_base64_is_accepted(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    deadline: Deadline,
    hmac_file: Path,
) -> None:
    hmac_file.write_text("  +/+/+/8=\n")

    assert bound(settings, accounts, client, hmac_file).ensure_account(deadline, UNLIMITED).url


def test_a_refused_binding_names_its_settings(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    authority: FakeAuthority,
    deadline: Deadline,
    hmac_file: Path,
) -> None:
    authority.queued["new-account"].append(problem("unauthorized", "unknown key", 403))
    registrar = bound(settings, accounts, client, hmac_file)

    with pytest.raises(ACMEError, match="unknown key") as caught:
        registrar.ensure_account(deadline, UNLIMITED)
    assert "authorities.acme.external_account" in caught.value.fix

    assert registrar.ensure_account(deadline, UNLIMITED).url


def test_a_server_error_may_concern_the_binding(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    authority: FakeAuthority,
    deadline: Deadline,
    hmac_file: Path,
) -> None:
    """step-ca returns HTTP 500 for an unknown EAB key."""
    for registrar, about in (
        (bound(settings, accounts, client, hmac_file), True),
        (AccountRegistrar(settings, accounts, client), False),
    ):
        authority.queued["new-account"].append(problem("serverInternal", "not found", 500))
        with pytest.raises(AuthorityServerError, match="HTTP 500") as caught:
            registrar.ensure_account(deadline, UNLIMITED)
        assert ("compare key_id, hmac_key_file" in caught.value.fix) is about


def test_other_errors_are_not_attributed_to_the_binding(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    authority: FakeAuthority,
    deadline: Deadline,
    hmac_file: Path,
) -> None:
    authority.queued["new-account"].append(problem("invalidContact", "who?", 400))
    with pytest.raises(ACMEError) as caught:
        bound(settings, accounts, client, hmac_file).ensure_account(deadline, UNLIMITED)
    assert caught.value.fix == "correct authorities.acme.contact"


@pytest.mark.parametrize("secret", ["", "###top secret###", "abcde", "top\0secret", "gehe\u00efm"])
def test_a_malformed_secret_is_not_printed(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    deadline: Deadline,
    hmac_file: Path,
    secret: str,
) -> None:
    hmac_file.write_text(secret, "utf-8")

    with pytest.raises(AuthorityError, match="is not base64url text") as caught:
        bound(settings, accounts, client, hmac_file).ensure_account(deadline, UNLIMITED)

    assert not secret or secret not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_secret(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    deadline: Deadline,
    tmp_path: Path,
) -> None:
    with pytest.raises(AuthorityError, match="cannot be read: No such file") as caught:
        bound(settings, accounts, client, tmp_path / "missing").ensure_account(deadline, UNLIMITED)

    assert caught.value.fix == "correct authorities.acme.external_account.hmac_key_file"
