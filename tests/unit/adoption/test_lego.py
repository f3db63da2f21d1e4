"""Reading of lego's directory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.fakes.client_directories import (
    ACCOUNT_URL,
    LETS_ENCRYPT,
    SHOP,
    lego_account,
    lego_certificate,
    write,
)

from gatecert.adoption.lego import read_state, recognises

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.client_directories import Office


@pytest.mark.parametrize("layout", [4, 5])
def test_reads_a_certificate_and_its_account(tmp_path: Path, office: Office, layout: int) -> None:
    leaf, account_key = office.issue(SHOP), office.issue("account")
    lego_account(tmp_path, account_key, layout=layout)
    lego_certificate(tmp_path, SHOP, leaf, office.fullchain(leaf))

    assert recognises(tmp_path)
    state = read_state(tmp_path)

    (account,), (found,) = state.accounts, state.certificates
    assert (account.url, account.directory_url) == (ACCOUNT_URL, LETS_ENCRYPT)
    assert account.contact == ("ops@example.org",)
    assert account.private_key == account_key.key_pem
    assert (found.name, found.directory_url, found.account) == (SHOP, LETS_ENCRYPT, account.id)
    assert found.fullchain == office.fullchain(leaf)


def test_the_issuer_is_added_where_it_is_a_file_of_its_own(tmp_path: Path, office: Office) -> None:
    leaf = office.issue(SHOP)
    lego_certificate(tmp_path, SHOP, leaf, office.fullchain(leaf))
    write(tmp_path / "certificates" / f"{SHOP}.crt", leaf.pem)

    (found,) = read_state(tmp_path).certificates

    assert found.fullchain.count(b"BEGIN CERTIFICATE") == 2


def test_a_directory_that_is_not_recorded_stays_empty(tmp_path: Path, office: Office) -> None:
    leaf = office.issue(SHOP)
    lego_certificate(tmp_path, SHOP, leaf, office.fullchain(leaf))
    record = {"domain": SHOP, "certUrl": "https://ca.internal:14000/certZ/1"}
    write(tmp_path / "certificates" / f"{SHOP}.json", json.dumps(record))

    (found,) = read_state(tmp_path).certificates

    assert (found.directory_url, found.server) == ("", "ca.internal:14000")


def test_what_cannot_be_read_is_refused(tmp_path: Path, office: Office) -> None:
    leaf = office.issue(SHOP)
    lego_certificate(tmp_path, SHOP, leaf, office.fullchain(leaf))
    (tmp_path / "certificates" / f"{SHOP}.key").unlink()
    write(tmp_path / "accounts" / "host" / "ops" / "account.json", "[]")
    write(tmp_path / "accounts" / "host" / "empty" / "account.json", "{}")

    refused = {each.name: each.reason for each in read_state(tmp_path).refused}

    assert "its key is elsewhere" in refused[SHOP]
    assert "is not a JSON object" in refused["account host/ops"]
    assert "has no account key" in refused["account host/empty"]
