"""Revoke a certificate with the account key or its own key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests.fakes.acme_server import problem
from tests.fakes.acme_stores import Accounts
from tests.fakes.pki import dns

from gatecert.acme.issuer import Issuer
from gatecert.acme.revocation_request import (
    REASON_CODES,
    Revocation,
    RevocationResult,
    Signature,
    revoke,
)
from gatecert.certificate import key
from gatecert.certificate.request import build_request
from gatecert.errors import AccountMissingError, ACMEError, AuthorityError
from gatecert.model import Account, KeyType, RevocationReason

if TYPE_CHECKING:
    from tests.fakes.acme_server import FakeAuthority
    from tests.fakes.root_authority import RootAuthority

    from gatecert.acme.client import Client
    from gatecert.config.schema.authority import AuthoritySettings
    from gatecert.deadline import Deadline

ACCOUNT, CERTIFICATE = Signature.ACCOUNT, Signature.CERTIFICATE


def revocation(
    root: RootAuthority,
    reason: RevocationReason = RevocationReason.UNSPECIFIED,
    by: Signature | None = None,
    kind: KeyType = KeyType.ECDSA_P256,
) -> Revocation:
    private_key = key.generate(kind)
    csr = build_request(private_key, dns("vpn.example.com"), common_name=None)
    der = x509.load_pem_x509_csr(csr).public_bytes(serialization.Encoding.DER)
    return Revocation(root.issue(der), private_key, reason, by)


def code(authority: FakeAuthority) -> int | None:
    (reason,) = authority.revoked.values()
    return reason


def test_the_account_signs_by_default_without_a_reason(
    client: Client,
    account: Account,
    authority: FakeAuthority,
    root: RootAuthority,
    deadline: Deadline,
) -> None:
    assert revoke(client, account, revocation(root), deadline) == RevocationResult(ACCOUNT)
    assert authority.sent("revoke-cert")[-1].header["kid"] == account.url
    assert code(authority) is None


@pytest.mark.parametrize("reason", sorted(set(REASON_CODES) - {RevocationReason.UNSPECIFIED}))
def test_reasons_are_sent_as_codes(
    reason: RevocationReason,
    client: Client,
    account: Account,
    authority: FakeAuthority,
    root: RootAuthority,
    deadline: Deadline,
) -> None:
    revoke(client, account, revocation(root, reason), deadline)
    assert x509.ReasonFlags(reason.value).name == reason.name.lower()
    assert code(authority) == REASON_CODES[reason] > 0


@pytest.mark.parametrize("kind", [KeyType.ECDSA_P256, KeyType.ECDSA_P384, KeyType.RSA_2048])
def test_a_compromised_key_signs_its_revocation(
    kind: KeyType,
    client: Client,
    account: Account,
    authority: FakeAuthority,
    root: RootAuthority,
    deadline: Deadline,
) -> None:
    wanted = revocation(root, RevocationReason.KEY_COMPROMISE, kind=kind)
    assert revoke(client, account, wanted, deadline) == RevocationResult(CERTIFICATE)
    assert "jwk" in authority.sent("revoke-cert")[-1].header
    assert code(authority) == 1


def test_the_certificate_key_signs_if_the_account_is_gone(
    client: Client,
    account: Account,
    authority: FakeAuthority,
    root: RootAuthority,
    deadline: Deadline,
) -> None:
    assert revoke(client, None, revocation(root), deadline) == RevocationResult(CERTIFICATE)
    authority.deactivated.add(account.url)
    assert revoke(client, account, revocation(root), deadline) == RevocationResult(CERTIFICATE)
    authority.queued["revoke-cert"].append(problem("unauthorized", "not yours", 403))
    authority.deactivated.clear()
    assert revoke(client, account, revocation(root), deadline) == RevocationResult(CERTIFICATE)


def test_the_account_signs_if_the_key_is_refused(
    client: Client,
    account: Account,
    authority: FakeAuthority,
    root: RootAuthority,
    deadline: Deadline,
) -> None:
    authority.queued["revoke-cert"].append(problem("unauthorized", "no such thing here", 403))
    wanted = revocation(root, RevocationReason.KEY_COMPROMISE)
    assert revoke(client, account, wanted, deadline) == RevocationResult(ACCOUNT)


def test_a_requested_signer_is_the_only_one(
    client: Client,
    account: Account,
    authority: FakeAuthority,
    root: RootAuthority,
    deadline: Deadline,
) -> None:
    with pytest.raises(AccountMissingError, match="has no account there"):
        revoke(client, None, revocation(root, by=ACCOUNT), deadline)
    authority.queued["revoke-cert"].append(problem("unauthorized", "not yours", 403))
    with pytest.raises(ACMEError, match="not yours"):
        revoke(client, account, revocation(root, by=ACCOUNT), deadline)
    assert revoke(client, account, revocation(root, by=CERTIFICATE), deadline).by is CERTIFICATE


def test_already_revoked_is_success(
    client: Client, account: Account, root: RootAuthority, deadline: Deadline
) -> None:
    wanted = revocation(root)
    revoke(client, account, wanted, deadline)
    assert revoke(client, account, wanted, deadline) == RevocationResult(ACCOUNT, before=True)


def test_another_refusal_is_raised(
    client: Client,
    account: Account,
    authority: FakeAuthority,
    root: RootAuthority,
    deadline: Deadline,
) -> None:
    authority.queued["revoke-cert"].append(problem("badRevocationReason", "not that one"))
    with pytest.raises(ACMEError, match="not that one"):
        revoke(client, account, revocation(root), deadline)
    assert len(authority.sent("revoke-cert")) == 1


def test_the_first_of_two_refusals_is_raised(
    client: Client,
    account: Account,
    authority: FakeAuthority,
    root: RootAuthority,
    deadline: Deadline,
) -> None:
    authority.queued["revoke-cert"].append(problem("unauthorized", "first", 403))
    authority.queued["revoke-cert"].append(problem("malformed", "second"))
    with pytest.raises(ACMEError, match="first"):
        revoke(client, account, revocation(root), deadline)


def test_an_unreachable_ca_is_not_asked_again(
    client: Client,
    account: Account,
    authority: FakeAuthority,
    root: RootAuthority,
    deadline: Deadline,
) -> None:
    authority.queued["revoke-cert"].append(AuthorityError("cut off"))
    with pytest.raises(AuthorityError, match="cut off"):
        revoke(client, account, revocation(root), deadline)
    assert authority.revoked == {}


# --------------------------------------------------------------------- from the pipeline's side


def test_no_account_is_created_for_a_revocation(
    settings: AuthoritySettings, client: Client, authority: FakeAuthority, root: RootAuthority
) -> None:
    issuer = Issuer(settings, Accounts(), {}, client=client)
    assert issuer.revoke(revocation(root)).by is CERTIFICATE
    assert authority.sent("new-account") == []


def test_the_account_of_a_key_is_found_for_a_revocation(
    settings: AuthoritySettings,
    client: Client,
    authority: FakeAuthority,
    root: RootAuthority,
    account: Account,
) -> None:
    accounts = Accounts()
    accounts.save_account("acme", Account(account.private_key))
    issuer = Issuer(settings, accounts, {}, client=client)
    assert issuer.revoke(revocation(root)).by is ACCOUNT
    accounts.save_account("acme", Account(key.generate(KeyType.ECDSA_P256)))
    assert issuer.revoke(revocation(root)).by is CERTIFICATE
    assert len(authority.accounts) == 1
