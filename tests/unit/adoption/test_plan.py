"""The plan of an adoption: gateways, CAs, accounts and challenges."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.fakes.client_directories import ACCOUNT_URL, FOUND, LETS_ENCRYPT, SHOP
from tests.fakes.clock import DAY, NOW

from gatecert.adoption.existing import Existing
from gatecert.adoption.found import (
    FoundAccount,
    FoundChallenge,
    FoundHook,
    FoundProvider,
    FoundState,
)
from gatecert.adoption.gateway_plan import Rights
from gatecert.adoption.plan import make_plan
from gatecert.errors import WrongUsageError
from gatecert.model import Endpoint
from gatecert.setup.host import Host as SetUpHost
from gatecert.setup.host import Listener

if TYPE_CHECKING:
    from tests.fakes.client_directories import Office

    from gatecert.adoption.found import FoundCertificate
    from gatecert.adoption.plan import Plan

MAIL = "mail.example.com"
CONFIGURATION = Path("/etc/gatecert/config.yaml")
NOTHING = Existing(CONFIGURATION, Path("/state"))
ROOT = Rights(runs_as_root=True, find=lambda name: f"/usr/bin/{name}")
USER = Rights(runs_as_root=False, find=ROOT.find)
CLOUDFLARE = FoundProvider("cloudflare", {"zone_id": "z"}, {"auth_token": "s3cr3t"})


def account(name: str = "4711", url: str = ACCOUNT_URL) -> FoundAccount:
    return FoundAccount(
        name, LETS_ENCRYPT, "", url, ("ops@example.org", "not an address"), b"key", FOUND
    )


def plan(
    *certificates: FoundCertificate,
    accounts: tuple[FoundAccount, ...] = (),
    existing: Existing = NOTHING,
    rights: Rights = ROOT,
    directory_url: str = "",
    client: str = "certbot",
) -> Plan:
    state = FoundState(client, FOUND, accounts, certificates)
    return make_plan(state, existing, now=NOW, roots=(), rights=rights, directory_url=directory_url)


def with_challenge(found: FoundCertificate, challenge: FoundChallenge) -> FoundCertificate:
    return replace(found, challenge=challenge)


def test_a_certificate_becomes_a_gateway_with_its_ca_and_account(office: Office) -> None:
    made = plan(office.found(SHOP, MAIL), accounts=(account(), account("other", "https://x/2")))

    assert made.additions.sections() == {
        "authorities": {
            "letsencrypt": {"contact": ["ops@example.org"], "terms_of_service_agreed": True}
        },
        "challenges": {},
        "gateways": {SHOP: {"hostname": SHOP, "alternative_names": [MAIL]}},
    }
    (planned,) = made.authorities.accounts
    assert planned.account.url == ACCOUNT_URL
    assert planned.account.contact == ("mailto:ops@example.org",)
    assert "https://x/2 with letsencrypt is not adopted" in made.notes[0]
    (gateway,) = made.gateways
    assert gateway.issued.authority == "letsencrypt"
    assert made.refused == ()


def test_an_account_without_its_url_is_adopted_by_its_key(office: Office) -> None:
    (planned,) = plan(office.found(SHOP), accounts=(account(url=""),)).authorities.accounts

    assert (planned.account.private_key, planned.account.url) == (b"key", "")


def test_a_ca_without_an_account_is_said(office: Office) -> None:
    assert "no account with letsencrypt was found" in plan(office.found(SHOP)).notes[0]


def test_an_unknown_ca_is_named_after_its_host(office: Office) -> None:
    found = replace(office.found(SHOP), directory_url="https://ca.internal:9000/acme/directory")

    made = plan(found)

    assert made.additions.authorities == {
        "ca.internal": {
            "directory_url": "https://ca.internal:9000/acme/directory",
            "terms_of_service_agreed": True,
        }
    }
    assert any("authorities.ca.internal.ca_bundle" in note for note in made.notes)


def test_several_cas_are_named_by_each_gateway(office: Office) -> None:
    other = replace(
        office.found(MAIL), directory_url="https://acme-staging-v02.api.letsencrypt.org/directory"
    )

    gateways = plan(office.found(SHOP), other).additions.gateways

    assert gateways[SHOP]["authorities"] == ["letsencrypt"]
    assert gateways[MAIL]["authorities"] == ["letsencrypt-staging"]


def test_profile_and_preferred_root_are_kept_where_all_agree(office: Office) -> None:
    found = replace(office.found(SHOP), profile="shortlived", preferred_root="Root", reuse_key=True)

    made = plan(found)

    entry = made.additions.authorities["letsencrypt"]
    assert entry["profile"] == {"preferred": "shortlived"}
    assert entry["preferred_root"] == "Root"
    assert made.additions.gateways[SHOP]["key"] == {"reuse": True}
    both = plan(found, office.found(MAIL))
    assert "profile" not in both.additions.authorities["letsencrypt"]
    assert any("several profiles (none, shortlived)" in note for note in both.notes)


def test_external_account_binding_is_copied_to_a_file(office: Office) -> None:
    bound = replace(account(), key_id="kid", hmac_key="aG1hYw")

    made = plan(office.found(SHOP), accounts=(bound,))

    assert made.additions.authorities["letsencrypt"]["external_account"] == {
        "key_id": "kid",
        "hmac_key_file": "/etc/gatecert/letsencrypt-hmac-key",
    }
    assert made.authorities.secrets[0].value == "aG1hYw"
    assert "aG1hYw" not in repr(made)


@pytest.mark.parametrize(
    ("challenge", "section"),
    [
        (FoundChallenge("standalone", "http-01"), {}),
        (
            FoundChallenge("webroot", "http-01", webroot=Path("/srv")),
            {"http-01": {"webroot": "/srv"}},
        ),
        (
            FoundChallenge("standalone", "http-01", ("127.0.0.1:88",)),
            {"http-01": {"listen": ["127.0.0.1:88"]}},
        ),
        (FoundChallenge("alpn", "tls-alpn-01"), {"tls-alpn-01": {}}),
    ],
)
def test_challenges_without_dns(
    office: Office, challenge: FoundChallenge, section: dict[str, object]
) -> None:
    made = plan(with_challenge(office.found(SHOP), challenge))

    assert made.additions.challenges == section


def test_the_most_common_webroot_is_used_and_the_others_are_named(office: Office) -> None:
    common = FoundChallenge("webroot", "http-01", webroot=Path("/srv"))
    rare = FoundChallenge("webroot", "http-01", webroot=Path("/other"))
    names = ("a.example.com", "b.example.com", "c.example.com")
    found = [
        with_challenge(office.found(name), each)
        for name, each in zip(names, (rare, common, common), strict=True)
    ]

    made = plan(*found)

    assert made.additions.challenges == {"http-01": {"webroot": "/srv"}}
    assert made.gateways[0].notes == (
        "it was validated with the webroot /other; gatecert uses the webroot /srv",
    )
    assert made.gateways[1].notes == ()


def test_a_provider_becomes_dns_01_with_credentials_in_files(office: Office) -> None:
    dns = FoundChallenge("dns-cloudflare", "dns-01", provider=CLOUDFLARE)
    http = FoundChallenge("standalone", "http-01")

    made = plan(
        with_challenge(office.found(f"*.{SHOP}"), dns), with_challenge(office.found(MAIL), http)
    )

    path = "/etc/gatecert/cloudflare-auth_token"
    assert made.additions.challenges == {
        "dns-01": {
            "provider": "cloudflare",
            "options": {"zone_id": "z"},
            "credentials": {"auth_token": path},
        }
    }
    (secret,) = made.challenges.secrets
    assert (str(secret.path), secret.value) == (path, "s3cr3t")
    gateways = made.additions.gateways
    assert gateways[f"wildcard.{SHOP}"]["challenge"] == "dns-01"
    assert gateways[MAIL]["challenge"] == "http-01"


def test_dynamic_updates_keep_their_key(office: Office) -> None:
    provider = FoundProvider(
        "rfc2136",
        secrets={"tsig": "czNj"},
        server="192.0.2.1:53",
        zone="example.com",
        tsig_name="acme",
        tsig_algorithm="hmac-sha512",
    )
    challenge = FoundChallenge("dns-rfc2136", "dns-01", provider=provider)

    made = plan(with_challenge(office.found(SHOP), challenge))

    assert made.additions.challenges["dns-01"] == {
        "provider": "rfc2136",
        "zone": "example.com",
        "server": "192.0.2.1:53",
        "tsig": {
            "name": "acme",
            "algorithm": "hmac-sha512",
            "secret_file": "/etc/gatecert/rfc2136-tsig",
        },
    }


def test_another_provider_than_the_chosen_one_is_named(office: Office) -> None:
    rare = FoundProvider("gandi", secrets={"auth_token": "t"})
    found = [
        with_challenge(office.found(name), FoundChallenge("d", "dns-01", provider=each))
        for name, each in (("a.example.com", CLOUDFLARE), ("b.example.com", CLOUDFLARE))
    ]
    odd = with_challenge(office.found(MAIL), FoundChallenge("d", "dns-01", provider=rare))

    made = plan(*found, odd)

    assert "gandi with other settings than most; gatecert uses cloudflare" in " ".join(
        made.gateways[2].notes
    )


def test_a_wildcard_without_a_provider_is_refused_and_leaves_nothing(office: Office) -> None:
    lack = FoundChallenge("dns-foo", "dns-01", lack="dns-foo has no equal")

    made = plan(with_challenge(office.found(f"*.{SHOP}"), lack), office.found(MAIL))

    (refused,) = made.refused
    assert "requires dns-01, and there is no provider: dns-foo has no equal" in refused.reason
    assert "configure challenges.dns-01 in /etc/gatecert/config.yaml" in refused.fix
    assert list(made.additions.gateways) == [MAIL]


def test_a_plain_name_without_a_provider_is_adopted_and_the_lack_said(office: Office) -> None:
    lack = FoundChallenge("dns-foo", "dns-01", lack="dns-foo has no equal")

    made = plan(with_challenge(office.found(SHOP), lack))

    assert "dns-foo has no equal" in made.gateways[0].notes
    assert "challenge" not in made.additions.gateways[SHOP]


def test_two_keys_for_the_same_names_become_one_gateway(office: Office) -> None:
    rsa = replace(office.found(SHOP, key_kind="2048"), name=SHOP)
    ecdsa = replace(office.found(SHOP), name=f"{SHOP}_ecc")

    made = plan(rsa, ecdsa, client="acme.sh")

    (gateway,) = made.gateways
    assert gateway.settings["key"] == {"type": "ecdsa-p256", "second": "rsa-2048"}
    assert gateway.issued.second is not None
    assert gateway.adoptable.algorithm == "ecdsa"


def test_of_two_for_one_hostname_the_one_that_ends_last_is_adopted(office: Office) -> None:
    older = replace(office.found(SHOP, end=NOW + DAY), name=f"{SHOP}-0001")

    made = plan(older, office.found(SHOP))

    (refused,) = made.refused
    assert refused.name == f"{SHOP}-0001"
    assert f"{SHOP} is the hostname of {SHOP} as well" in refused.reason
    assert [each.adoptable.found.name for each in made.gateways] == [SHOP]


def test_what_is_configured_stays_as_it_is(office: Office) -> None:
    existing = Existing(
        CONFIGURATION,
        Path("/state"),
        authorities={"le": LETS_ENCRYPT},
        gateways={"boston": SHOP, MAIL: "other.example.com", "own": "own.example.com"},
        custom=frozenset({"own"}),
        challenges=frozenset({"http-01", "dns-01"}),
        dns_provider="gandi",
        http_01={"webroot": "/srv"},
    )
    dns = FoundChallenge("dns-cloudflare", "dns-01", provider=CLOUDFLARE)
    standalone = FoundChallenge("standalone", "http-01")

    made = plan(
        with_challenge(office.found(SHOP), standalone),
        with_challenge(office.found(MAIL), dns),
        with_challenge(office.found("web.example.com"), standalone),
        office.found("own.example.com"),
        existing=existing,
    )

    known, mail, web = made.gateways
    assert (known.name, known.is_new, known.authority) == ("boston", False, "le")
    assert mail.name == f"{MAIL}-2"
    assert made.additions.authorities == {}
    assert made.additions.challenges == {}
    assert made.challenges.secrets == ()
    assert "has gandi, which must be able" in mail.notes[0]
    assert "uses the webroot /srv, as /etc/gatecert/config.yaml says" in web.notes[0]
    (refused,) = made.refused
    assert "gateway own has mode: custom" in refused.reason


def test_gateways_that_may_use_another_ca_from_now_on_are_said(office: Office) -> None:
    existing = Existing(
        CONFIGURATION,
        Path("/state"),
        authorities={"own": "https://ca.internal/directory"},
        gateways={"boston": "boston.example.com"},
    )

    made = plan(office.found(SHOP), existing=existing)

    assert any("may use letsencrypt as well" in note for note in made.notes)
    assert made.additions.gateways[SHOP]["authorities"] == ["letsencrypt"]


def test_the_directory_can_be_given_where_it_is_not_recorded(office: Office) -> None:
    found = replace(office.found(SHOP), directory_url="", server="127.0.0.1:14000")

    (refused,) = plan(found, client="lego").refused
    assert "lego does not record the ACME directory of 127.0.0.1:14000" in refused.reason
    assert "--directory-url" in refused.fix
    made = plan(found, directory_url="letsencrypt")
    assert list(made.additions.authorities) == ["letsencrypt"]
    with pytest.raises(WrongUsageError, match=r"--directory-url .* is not safe"):
        plan(found, directory_url="http://ca.internal/directory")
    insecure = replace(found, directory_url="http://ca.internal/directory")
    assert "is not safe" in plan(insecure).refused[0].reason


def test_a_hook_becomes_reload_if_gatecert_runs_as_root(office: Office) -> None:
    hooks = (
        FoundHook("pre_hook", "systemctl stop nginx"),
        FoundHook("renew_hook", "/root/script.sh"),
        FoundHook("post_hook", "systemctl reload nginx"),
        FoundHook("installer = nginx", "systemctl reload nginx"),
    )
    found = replace(office.found(SHOP), hooks=hooks)

    (gateway,) = plan(found).gateways

    assert gateway.settings["install"] == {"reload": ["/usr/bin/systemctl", "reload", "nginx"]}
    assert gateway.notes == (
        "not translated: pre_hook: systemctl stop nginx",
        "not translated: renew_hook: /root/script.sh",
    )
    (other,) = plan(found, rights=USER).gateways
    assert "install" not in other.settings
    assert other.unit == "nginx.service"


def test_a_command_without_a_unit_needs_root(office: Office) -> None:
    found = replace(office.found(SHOP), hooks=(FoundHook("renew_hook", "nginx -s reload"),))

    (gateway,) = plan(found, rights=USER).gateways

    assert gateway.unit == ""
    assert "does not run as root: /usr/bin/nginx -s reload" in gateway.notes[0]


def test_installed_files_become_copies_with_their_owner_and_mode(
    office: Office, tmp_path: Path
) -> None:
    path = tmp_path / "key.pem"
    path.touch(0o640)
    found = replace(
        office.found(SHOP), installed={"privkey": path, "fullchain": tmp_path / "missing"}
    )

    (gateway,) = plan(found).gateways

    install = gateway.settings["install"]
    assert isinstance(install, dict)
    (copy,) = install["copy_to"]
    assert (copy["path"], copy["contents"], copy["mode"]) == (str(path), "privkey", "0640")
    assert copy["owner"] == path.owner()
    assert "missing, where it was installed, does not exist" in gateway.notes[0]
    (other,) = plan(found, rights=USER).gateways
    assert other.files[path] == "privkey.pem"


def test_listeners_are_entered_with_their_protocol(office: Office) -> None:
    made = plan(office.found(SHOP))
    print_ = made.gateways[0].adoptable.fingerprint
    listeners = (Endpoint("127.0.0.1", 443), Endpoint("127.0.0.1", 25, starttls="smtp"))

    def units(found: object) -> tuple[str, ...]:
        return ("nginx.service",) if found else ()

    entered = made.with_listeners({print_: listeners}, units, ROOT)

    assert entered.additions.gateways[SHOP]["install"] == {
        "reload": ["/usr/bin/systemctl", "reload", "nginx.service"],
        "verify": ["127.0.0.1:443", {"address": "127.0.0.1:25", "starttls": "smtp"}],
    }
    (gateway,) = made.with_listeners({print_: listeners}, units, USER).gateways
    assert gateway.unit == "nginx.service"
    assert "reload" not in str(gateway.settings)
    assert made.with_listeners({}, units, ROOT).additions == made.additions


def test_a_port_80_that_is_taken_is_said(office: Office) -> None:
    host = SetUpHost(listeners=(Listener("192.0.2.1", 80, "nginx"),))
    webroot = FoundChallenge("webroot", "http-01", webroot=Path("/srv"))

    assert "port 80 is used by nginx" in plan(office.found(SHOP)).port_note(host)
    assert plan(office.found(SHOP)).port_note(SetUpHost()) == ""
    assert plan(with_challenge(office.found(SHOP), webroot)).port_note(host) == ""


def test_a_renewal_can_be_tried_where_the_ca_has_a_staging_directory(office: Office) -> None:
    other = replace(office.found(MAIL), directory_url="https://ca.internal/directory")

    assert plan(office.found(SHOP)).can_rehearse
    assert not plan(office.found(SHOP), other).can_rehearse


def test_a_key_that_gatecert_does_not_make_is_said(office: Office) -> None:
    (gateway,) = plan(office.found("large.example.com", key_kind="2560")).gateways

    assert "key" not in gateway.settings
    assert "its RSA key has a size that gatecert does not make" in gateway.notes[0]
