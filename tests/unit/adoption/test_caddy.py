"""Reading of Caddy's data directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.client_directories import (
    ACCOUNT_URL,
    LETS_ENCRYPT,
    SHOP,
    caddy_account,
    caddy_certificate,
    write,
)

from gatecert.adoption.caddy import read_state, recognises

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.client_directories import Office


def test_reads_a_certificate_and_its_account(tmp_path: Path, office: Office) -> None:
    leaf, account_key = office.issue(SHOP), office.issue("account")
    caddy_account(tmp_path, account_key)
    caddy_certificate(tmp_path, SHOP, leaf, office.fullchain(leaf))

    assert recognises(tmp_path)
    state = read_state(tmp_path)

    (account,), (found,) = state.accounts, state.certificates
    assert (account.url, account.directory_url) == (ACCOUNT_URL, LETS_ENCRYPT)
    assert account.private_key == account_key.key_pem
    assert (found.name, found.directory_url, found.account) == (SHOP, LETS_ENCRYPT, ACCOUNT_URL)
    assert found.names == (SHOP,)


def test_certificates_of_its_own_ca_are_left_to_it(tmp_path: Path) -> None:
    write(tmp_path / "acme" / "x", "")
    write(tmp_path / "certificates" / "local" / "intern" / "intern.crt", "x")

    (refused,) = read_state(tmp_path).refused

    assert refused.name == "intern"
    assert "Caddy's own CA" in refused.reason


def test_what_cannot_be_read_is_refused(tmp_path: Path, office: Office) -> None:
    leaf = office.issue(SHOP)
    caddy_certificate(tmp_path, SHOP, leaf, office.fullchain(leaf))
    (path,) = tmp_path.rglob(f"{SHOP}.json")
    path.write_text("{", "utf-8")

    (refused,) = read_state(tmp_path).refused

    assert "is not JSON" in refused.reason
