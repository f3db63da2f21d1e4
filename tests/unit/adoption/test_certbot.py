"""Reading of certbot's directory."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.fakes.client_directories import (
    ACCOUNT_URL,
    LETS_ENCRYPT,
    SHOP,
    certbot_account,
    certbot_lineage,
    write,
)

from gatecert.adoption.certbot import read_state, recognises
from gatecert.certificate import key
from gatecert.model import KeyType

if TYPE_CHECKING:
    from tests.fakes.client_directories import Office

    from gatecert.adoption.found import FoundCertificate

STANDALONE = f"account = 4711\nserver = {LETS_ENCRYPT}\nauthenticator = standalone"


def lineage(tmp_path: Path, office: Office, settings: str) -> FoundCertificate:
    leaf = office.issue(SHOP)
    certbot_lineage(tmp_path, SHOP, leaf, office.fullchain(leaf), settings=settings)
    state = read_state(tmp_path)
    assert state.refused == ()
    return state.certificates[0]


def test_reads_a_lineage_and_its_account(tmp_path: Path, office: Office) -> None:
    certbot_account(tmp_path)
    leaf = office.issue(SHOP)
    certbot_lineage(tmp_path, SHOP, leaf, office.fullchain(leaf), settings=STANDALONE)

    assert recognises(tmp_path)
    state = read_state(tmp_path)

    (account,), (found,) = state.accounts, state.certificates
    assert (account.id, account.url, account.directory_url) == ("4711", ACCOUNT_URL, LETS_ENCRYPT)
    assert key.kind(key.load(account.private_key)) is KeyType.RSA_2048
    assert found.private_key == leaf.key_pem
    assert found.fullchain == office.fullchain(leaf)
    assert (found.directory_url, found.account) == (LETS_ENCRYPT, "4711")
    assert (found.challenge.kind, found.challenge.listen) == ("http-01", ())
    assert found.files["fullchain.pem"] == tmp_path / "live" / SHOP / "fullchain.pem"


@pytest.mark.parametrize(
    ("settings", "listen"),
    [
        ("http01_port = 8080", ("[::]:8080", "0.0.0.0:8080")),
        ("http01_port = 8080\nhttp01_address = 127.0.0.1", ("127.0.0.1:8080",)),
        ("http01_address = ::1", ("[::1]:80",)),
    ],
)
def test_standalone_listens_where_certbot_did(
    tmp_path: Path, office: Office, settings: str, listen: tuple[str, ...]
) -> None:
    found = lineage(tmp_path, office, f"{STANDALONE}\n{settings}")

    assert found.challenge.listen == listen


def test_the_webroot_of_the_names_goes_before_the_general_one(
    tmp_path: Path, office: Office
) -> None:
    settings = f"""server = {LETS_ENCRYPT}
authenticator = webroot
webroot_path = /var/www/other,
[[webroot_map]]
{SHOP} = /var/www/shop
www.{SHOP} = "/var/www/html"
"""
    found = lineage(tmp_path, office, settings)

    assert found.challenge.webroot == Path("/var/www/shop")
    assert "/var/www/html" in found.challenge.note
    assert found.names == (SHOP, f"www.{SHOP}")


def test_hooks_and_what_renewal_depends_on(tmp_path: Path, office: Office) -> None:
    settings = f"""server = {LETS_ENCRYPT}
authenticator = nginx
installer = nginx
renew_hook = systemctl reload postfix
pre_hook = systemctl stop apache2
reuse_key = True
preferred_chain = "ISRG Root X1", other
required_profile = shortlived
autorenew = False
"""
    found = lineage(tmp_path, office, settings)

    assert [(each.key, each.command) for each in found.hooks] == [
        ("renew_hook", "systemctl reload postfix"),
        ("pre_hook", "systemctl stop apache2"),
        ("installer = nginx", "systemctl reload nginx"),
    ]
    assert found.reuse_key
    assert (found.profile, found.is_profile_required) == ("shortlived", True)
    assert found.preferred_root == "ISRG Root X1"
    assert "autorenew = False" in found.notes[0]
    assert found.challenge.webroot == Path("/var/www/html")


def test_scripts_for_every_certificate_are_named(tmp_path: Path, office: Office) -> None:
    script = tmp_path / "renewal-hooks" / "deploy" / "reload.sh"
    write(script, "#!/bin/sh\n")
    script.chmod(0o755)
    lineage(tmp_path, office, STANDALONE)

    assert str(script) in read_state(tmp_path).notes[0]


@pytest.mark.parametrize(
    ("plugin", "credentials", "provider", "secrets"),
    [
        ("cloudflare", "dns_cloudflare_api_token = T", "cloudflare", {"auth_token": "T"}),
        (
            "cloudflare",
            "dns_cloudflare_email = ops@example.org\ndns_cloudflare_api_key = K",
            "cloudflare",
            {"auth_username": "ops@example.org", "auth_token": "K"},
        ),
        ("digitalocean", 'dns_digitalocean_token = "T"', "digitalocean", {"auth_token": "T"}),
        (
            "rfc2136",
            (
                "dns_rfc2136_server = 192.0.2.1\ndns_rfc2136_name = certbot.\n"
                "dns_rfc2136_secret = czNjcjN0\ndns_rfc2136_algorithm = HMAC-SHA512"
            ),
            "rfc2136",
            {"tsig": "czNjcjN0"},
        ),
    ],
)
def test_dns_plug_ins_have_an_equal(
    tmp_path: Path,
    office: Office,
    plugin: str,
    credentials: str,
    provider: str,
    secrets: dict[str, str],
) -> None:
    path = tmp_path / "dns.ini"
    write(path, f"# comment\n{credentials}\n")
    settings = f"authenticator = dns-{plugin}\ndns_{plugin}_credentials = {path}"

    challenge = lineage(tmp_path, office, f"server = {LETS_ENCRYPT}\n{settings}").challenge

    assert challenge.provider is not None, challenge.lack
    assert (challenge.kind, challenge.provider.name) == ("dns-01", provider)
    assert dict(challenge.provider.secrets) == secrets
    assert "czNjcjN0" not in repr(challenge)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("authenticator = dns-unheard", "dns-unheard has no equal"),
        (
            "authenticator = dns-cloudflare\ndns_cloudflare_credentials = /nowhere.ini",
            "/nowhere.ini is missing",
        ),
        ("authenticator = manual\nmanual_auth_hook = /root/auth.sh", "the hook /root/auth.sh"),
        ("authenticator = webroot", "certbot stores no webroot"),
        ("authenticator = other", "certbot's plug-in other has no equal"),
    ],
)
def test_what_has_no_equal_is_named(
    tmp_path: Path, office: Office, settings: str, words: str
) -> None:
    challenge = lineage(tmp_path, office, f"server = {LETS_ENCRYPT}\n{settings}").challenge

    assert words in challenge.lack
    assert challenge.provider is None


def test_a_copy_without_links_is_read(tmp_path: Path, office: Office) -> None:
    lineage(tmp_path, office, STANDALONE)
    copied = tmp_path / "copied"
    shutil.copytree(tmp_path / "renewal", copied / "renewal")
    shutil.copytree(tmp_path / "live", copied / "live")  # the links become files

    (found,) = read_state(copied).certificates

    assert found.notes == ()
    assert found.private_key == office.issue(SHOP).key_pem


def test_the_archive_is_used_where_live_is_missing(tmp_path: Path, office: Office) -> None:
    found = lineage(tmp_path, office, STANDALONE)
    shutil.rmtree(tmp_path / "live" / SHOP)
    old = office.issue(SHOP, key_name="old")
    write(tmp_path / "archive" / SHOP / "privkey10.pem", old.key_pem)  # without a certificate

    (again,) = read_state(tmp_path).certificates

    assert again.fullchain == found.fullchain
    assert "is missing or broken" in again.notes[0]


def test_damaged_files_are_refused_one_by_one(tmp_path: Path, office: Office) -> None:
    lineage(tmp_path, office, STANDALONE)
    write(tmp_path / "renewal" / "binary.conf", b"\xff\0")
    write(tmp_path / "renewal" / "empty.conf", "")
    write(tmp_path / "renewal" / "nothing.conf", "[renewalparams]\n")
    write(tmp_path / "renewal" / "words.conf", "no such thing\n")
    folder = certbot_account(tmp_path, "broken")
    write(folder / "private_key.json", '{"kty": "RSA", "n": "secret"}')

    state = read_state(tmp_path)

    refused = {each.name: each.reason for each in state.refused}
    assert set(refused) == {"account broken", "binary", "empty", "nothing", "words"}
    assert "words.conf:1 is damaged" in refused["words"]
    assert "neither live/nothing nor" in refused["nothing"]
    assert "secret" not in " ".join(refused.values())
    assert [each.name for each in state.certificates] == [SHOP]


def test_accounts_of_an_earlier_url_are_not_read_twice(tmp_path: Path) -> None:
    certbot_account(tmp_path)
    older = tmp_path / "accounts" / "acme-v01.api.letsencrypt.org"
    older.mkdir()
    (older / "directory").symlink_to("../acme-v02.api.letsencrypt.org/directory")

    assert [each.id for each in read_state(tmp_path).accounts] == ["4711"]


def test_route53_uses_the_credentials_of_aws(tmp_path: Path, office: Office) -> None:
    challenge = lineage(
        tmp_path, office, f"server = {LETS_ENCRYPT}\nauthenticator = dns-route53"
    ).challenge

    assert challenge.kind == "dns-01"
    assert challenge.provider is not None or "route53" in challenge.lack


def test_google_gets_its_file_encoded(tmp_path: Path, office: Office) -> None:
    path = tmp_path / "google.json"
    write(path, '{"private_key": "x"}')
    settings = f"authenticator = dns-google\ndns_google_credentials = {path}"

    challenge = lineage(tmp_path, office, f"server = {LETS_ENCRYPT}\n{settings}").challenge

    assert challenge.provider is not None
    assert challenge.provider.secrets["auth_service_account_info"].startswith("base64::")
