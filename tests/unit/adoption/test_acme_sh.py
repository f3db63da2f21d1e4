"""Reading of acme.sh's directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.fakes.client_directories import (
    ACCOUNT_URL,
    LETS_ENCRYPT,
    SHOP,
    acme_sh_account,
    acme_sh_certificate,
    encoded,
    traditional,
    write,
)

from gatecert.adoption.acme_sh import read_state, recognises

if TYPE_CHECKING:
    from tests.fakes.client_directories import Office

    from gatecert.adoption.found import FoundCertificate


def certificate(tmp_path: Path, office: Office, settings: str) -> FoundCertificate:
    leaf = office.issue(SHOP)
    acme_sh_certificate(tmp_path, SHOP, leaf, office.fullchain(leaf), settings=settings)
    state = read_state(tmp_path)
    assert state.refused == ()
    return state.certificates[0]


def test_reads_a_certificate_and_its_account(tmp_path: Path, office: Office) -> None:
    leaf, account_key = office.issue(SHOP), office.issue("account")
    eab = "CA_EAB_KEY_ID='kid'\nCA_EAB_HMAC_KEY='aG1hYw'"
    acme_sh_account(tmp_path, account_key, eab)
    acme_sh_certificate(
        tmp_path, SHOP, leaf, office.fullchain(leaf), settings="Le_Webroot='/var/www/html'"
    )

    assert recognises(tmp_path)
    state = read_state(tmp_path)

    (account,), (found,) = state.accounts, state.certificates
    assert (account.url, account.directory_url) == (ACCOUNT_URL, LETS_ENCRYPT)
    assert account.contact == ("ops@example.org",)
    assert (account.key_id, account.hmac_key) == ("kid", "aG1hYw")
    assert account.private_key == account_key.key_pem
    assert found.account == account.id
    assert found.private_key == traditional(leaf)
    assert found.challenge.webroot == Path("/var/www/html")
    assert found.names == (SHOP,)
    assert found.files["privkey.pem"] == tmp_path / f"{SHOP}_ecc" / f"{SHOP}.key"


@pytest.mark.parametrize(
    ("settings", "kind", "listen"),
    [
        ("Le_Webroot='no'", "http-01", ()),
        ("Le_Webroot='no'\nLe_HTTPPort='8080'", "http-01", ("[::]:8080", "0.0.0.0:8080")),
        (
            "Le_Webroot='no'\nLe_HTTPPort='88'\nLe_LocalAddress='127.0.0.1'",
            "http-01",
            ("127.0.0.1:88",),
        ),
        ("Le_Webroot='alpn'", "tls-alpn-01", ()),
        ("", "", ()),
    ],
)
def test_challenges_without_a_provider(
    tmp_path: Path, office: Office, settings: str, kind: str, listen: tuple[str, ...]
) -> None:
    challenge = certificate(tmp_path, office, settings).challenge

    assert (challenge.kind, challenge.listen) == (kind, listen)


def test_credentials_come_from_the_shared_file(tmp_path: Path, office: Office) -> None:
    write(
        tmp_path / "account.conf",
        f"SAVED_CF_Token='{encoded('t0ken')}'\nSAVED_CF_Zone_ID='z'\n#comment\nCA_BUNDLE='/ca.pem'\n",
    )
    challenge = certificate(tmp_path, office, "Le_Webroot='dns_cf'").challenge

    assert challenge.provider is not None
    assert challenge.provider.name == "cloudflare"
    assert dict(challenge.provider.secrets) == {"auth_token": "t0ken"}
    assert dict(challenge.provider.options) == {"zone_id": "z"}
    assert read_state(tmp_path).ca_bundle == Path("/ca.pem")
    assert "t0ken" not in repr(challenge)


def test_nsupdate_becomes_rfc2136(tmp_path: Path, office: Office) -> None:
    write(
        tmp_path / "update.key",
        'key "acme" {\n  algorithm hmac-sha256;\n  secret "czNjcjN0";\n};\n',
    )
    write(
        tmp_path / "account.conf",
        "SAVED_NSUPDATE_SERVER='ns.example.com'\n"
        f"SAVED_NSUPDATE_KEY='{tmp_path / 'update.key'}'\nSAVED_NSUPDATE_ZONE='example.com.'\n",
    )
    provider = certificate(tmp_path, office, "Le_Webroot='dns_nsupdate'").challenge.provider

    assert provider is not None
    assert (provider.server, provider.zone) == ("ns.example.com:53", "example.com")
    assert (provider.tsig_name, provider.tsig_algorithm) == ("acme", "hmac-sha256")
    assert dict(provider.secrets) == {"tsig": "czNjcjN0"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("Le_Webroot='dns_unheard'", "dns_unheard has no equal"),
        ("Le_Webroot='dns_cf'", "CF_Token of dns_cf is not stored"),
        ("Le_Webroot='dns'", "set by hand"),
    ],
)
def test_what_has_no_equal_is_named(
    tmp_path: Path, office: Office, settings: str, words: str
) -> None:
    assert words in certificate(tmp_path, office, settings).challenge.lack


def test_hooks_are_decoded_and_installed_files_found(tmp_path: Path, office: Office) -> None:
    found = certificate(
        tmp_path,
        office,
        f"""Le_Webroot='nginx:/etc/nginx'
Le_ReloadCmd='{encoded("systemctl reload nginx && echo done")}'
Le_PreHook=''
Le_RealKeyPath='/etc/nginx/key.pem'
Le_RealCertPath=''
Le_RealFullChainPath='/etc/nginx/it'\\''s.pem'
Le_DeployHook='haproxy,'
Le_Preferred_Chain='{encoded("ISRG Root X1")}'""",
    )

    assert [(each.key, each.command) for each in found.hooks] == [
        ("Le_ReloadCmd", "systemctl reload nginx && echo done")
    ]
    assert found.installed == {
        "privkey": Path("/etc/nginx/key.pem"),
        "fullchain": Path("/etc/nginx/it's.pem"),
    }
    assert found.preferred_root == "ISRG Root X1"
    assert "haproxy" in found.notes[0]
    assert "nginx" in found.challenge.note


def test_both_directories_of_a_name_are_read(tmp_path: Path, office: Office) -> None:
    leaf, rsa = office.issue(SHOP), office.issue(SHOP, key_kind="2048")
    for each, ecc in ((leaf, True), (rsa, False)):
        acme_sh_certificate(
            tmp_path, SHOP, each, office.fullchain(each), settings="Le_Webroot='no'", ecc=ecc
        )

    assert [each.name for each in read_state(tmp_path).certificates] == [SHOP, f"{SHOP}_ecc"]


def test_damaged_files_are_refused_one_by_one(tmp_path: Path, office: Office) -> None:
    certificate(tmp_path, office, "Le_Webroot='no'")
    write(tmp_path / "open.example.com" / "open.example.com.conf", "Le_Domain='open\n")
    write(tmp_path / "revoked.example.com" / "revoked.example.com.conf", "Le_Domain='x'\n")
    write(tmp_path / "ca" / "host" / "account.key", "no key")

    refused = {each.name: each.reason for each in read_state(tmp_path).refused}

    assert set(refused) == {"open.example.com", "revoked.example.com", "account host"}
    assert "open.example.com.conf:1 is damaged" in refused["open.example.com"]
    assert "revoked.example.com.key is missing" in refused["revoked.example.com"]
