from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from gatecert.config.load import load
from gatecert.config.schema import (
    AuthoritySettings,
    ChallengeKind,
    ChallengeSettings,
    Configuration,
    Dns01Settings,
    ExternalAccountSettings,
    GatewaySettings,
    Http01Settings,
    InstallSettings,
    KeySettings,
    MacAlgorithm,
    ResolverSettings,
    TsigAlgorithm,
)
from gatecert.model import Endpoint, FileContents, Identifier, IdentifierType, KeyType, Mode

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST = {"gateways": {"gw": {"hostname": "gw.example.com"}}}

DESIGN = """\
state_directory: /var/lib/gatecert          # default $STATE_DIRECTORY
authorities:                                # tried in this order
  letsencrypt:
    directory_url: https://acme-v02.api.letsencrypt.org/directory
    contact: [ops@example.com]
    terms_of_service_agreed: true
    ca_bundle: /path.pem
    trusted_roots: /path.pem
    profile: shortlived
    external_account: {key_id: kid, hmac_key_file: /hmac}
resolver:
  nameservers: ["127.0.0.1:8053"]
  interval: 30s
challenges:
  http-01: {listen: ["[::]:80", "0.0.0.0:80"]}
  tls-alpn-01: {listen: ["0.0.0.0:443"]}
  dns-01:
    provider: rfc2136
    server: 127.0.0.1:53
    tsig: {name: gatecert, algorithm: hmac-sha256, secret_file: /tsig}
gateways:
  boston:
    hostname: boston-njndubu.dynamic-m.com
    alternative_names: []
    mode: automatic
    region: global
    addresses: [203.0.113.7]
    challenge: http-01
    authorities: [letsencrypt]
    key: {type: ecdsa-p256, reuse: false}
    install:
      reload: [systemctl, reload, ocserv]
      verify: ["127.0.0.1:443"]
      copy_to: []
    renewal: {}
  hq:
    hostname: vpn.company.com
    mode: custom
    members:
      primary: {common_name: primaryvpn.company.com}
      spare: {common_name: secondaryvpn.company.com}
    member: primary
    client_authentication: {crl_files: [], known_users: /etc/gatecert/users}
"""


@pytest.fixture
def design(tmp_path: Path) -> Configuration:
    path = tmp_path / "config.yaml"
    path.write_text(DESIGN, encoding="utf-8")
    return load(path, check_files=False)


def test_the_documented_configuration_is_parsed(design: Configuration) -> None:
    assert design.state_directory == Path("/var/lib/gatecert")
    assert design.resolver.nameservers == (Endpoint("127.0.0.1", 8053),)
    assert design.resolver.interval == timedelta(seconds=30)
    assert design.challenges.http_01.listen == (Endpoint("::", 80), Endpoint("0.0.0.0", 80))  # noqa: S104 - only compared
    assert design.challenges.tls_alpn_01 is not None
    dns_01 = design.challenges.dns_01
    assert dns_01 is not None
    assert dns_01.server == Endpoint("127.0.0.1", 53)
    assert dns_01.tsig is not None
    assert dns_01.tsig.algorithm is TsigAlgorithm.HMAC_SHA256


def test_an_authority_knows_its_name(design: Configuration) -> None:
    assert design.authorities == {
        "letsencrypt": AuthoritySettings(
            name="letsencrypt",
            directory_url="https://acme-v02.api.letsencrypt.org/directory",
            contact=("ops@example.com",),
            terms_of_service_agreed=True,
            ca_bundle=Path("/path.pem"),
            trusted_roots=Path("/path.pem"),
            profile="shortlived",
            external_account=ExternalAccountSettings(
                key_id="kid", hmac_key_file=Path("/hmac"), algorithm=MacAlgorithm.HS256
            ),
        )
    }


def test_gateways_know_their_names_and_settings(design: Configuration) -> None:
    boston, headquarters = design.gateways.values()
    assert (boston.name, boston.hostname) == ("boston", "boston-njndubu.dynamic-m.com")
    assert boston.challenge == (ChallengeKind.HTTP_01,)
    assert boston.region == "global"
    assert boston.install.reload == ("systemctl", "reload", "ocserv")
    assert headquarters.mode is Mode.CUSTOM
    assert headquarters.members["spare"].common_name == "secondaryvpn.company.com"
    assert headquarters.client_authentication is not None
    assert headquarters.client_authentication.known_users == Path("/etc/gatecert/users")


def test_defaults_are_those_of_the_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    least = Configuration.model_validate(LEAST)
    assert least.state_directory == Path("/var/lib/gatecert")
    assert least.excluded_regions == ("cn",)
    assert least.authorities == {}
    assert least.resolver == ResolverSettings()
    assert least.challenges == ChallengeSettings(http_01=Http01Settings())
    assert (least.challenges.tls_alpn_01, least.challenges.dns_01) == (None, None)
    gateway = least.gateways["gw"]
    assert gateway.mode is Mode.AUTOMATIC
    assert gateway.region is None
    assert gateway.challenge == gateway.authorities == ()
    assert gateway.key == KeySettings(type=KeyType.ECDSA_P256, reuse=False)


def test_systemd_names_the_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/private/gatecert:/other")
    assert Configuration.model_validate(LEAST).state_directory == Path("/var/lib/private/gatecert")


def test_a_key_without_a_value_counts_as_not_written(
    configuration: Callable[[str], Configuration],
) -> None:
    written = "resolver:\nauthorities: {a: {directory_url: https://a.example, profile: }}\n"
    loaded = configuration(f"{written}gateways: {{gw: {{hostname: gw.example.com, key: ~}}}}\n")
    assert loaded.resolver == ResolverSettings()
    assert loaded.authorities["a"].profile is None


def test_an_unknown_key_without_a_value_is_refused(
    complaints: Callable[[str], list[str]],
) -> None:
    written = "gateways: {gw: {hostname: gw.example.com, mode: custom, regoin: }}\n"
    assert complaints(f"{written}chalenges:\n") == [
        "1: gateways.gw.regoin: unknown key; did you mean region?",
        "2: chalenges: unknown key; did you mean challenges?",
    ]


def test_settings_cannot_be_changed_or_extended() -> None:
    settings = Http01Settings(listen=(Endpoint("127.0.0.1", 0),))
    assert settings.listen == (Endpoint("127.0.0.1", 0),)
    with pytest.raises(ValidationError, match="frozen"):
        settings.webroot = Path("/var/www")  # type: ignore[misc]  # what is being tested
    with pytest.raises(ValidationError, match="not permitted"):
        Http01Settings.model_validate({"port": 80})


def test_python_code_may_use_field_names() -> None:
    assert ChallengeSettings(http_01=Http01Settings(webroot=Path("/w"))).http_01.webroot


def test_errors_do_not_repeat_values() -> None:
    with pytest.raises(ValidationError) as caught:
        ExternalAccountSettings.model_validate({"key_id": "k", "hmac_key": "S3cr3t"})
    assert "S3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://ca.example/dir", "over plain http anyone on the path could impersonate"),
        ("HTTP://ca.example/dir", "over plain http anyone"),
        ("ftp://ca.example", "is not an ACME directory; write https://host/path"),
        ("ca.example/dir", "is not an ACME directory"),
        ("https://", "is not an ACME directory"),
        ("https://ca.example:0/", "is not an ACME directory"),
        ("https://ca.example/a b", "is not an ACME directory"),
        ("https://ca.example:port/", "is not a URL"),
        ("https://[::1/dir", "is not a URL"),
        ("https://ca.example/#x", "must not have a fragment (#x)"),
        ("", "is empty"),
    ],
)
def test_directories_require_https(url: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        AuthoritySettings.model_validate({"directory_url": url})
    assert said in caught.value.errors()[0]["msg"]


def test_urls_contain_no_passwords() -> None:
    for url in ("https://me:S3cr3t@ca.example/", "http://S3cr3t@ca.example/"):
        with pytest.raises(ValidationError) as caught:
            AuthoritySettings.model_validate({"directory_url": url})
        message = caught.value.errors()[0]["msg"]
        assert "must not contain a user name or password" in message
        assert "S3cr3t" not in message


def test_contacts_are_bare_mail_addresses() -> None:
    authority = AuthoritySettings.model_validate(
        {
            "directory_url": "https://ca.example/",
            "contact": ["MAILTO:ops+acme@Example.com", "a@bücher.example"],
        }
    )
    assert authority.contact == ("ops+acme@example.com", "a@xn--bcher-kva.example")
    for written in ("ops", "a@b@c", "mailto:a@b.example?subject=x", "A <a@b.example>", "@b.c"):
        with pytest.raises(ValidationError, match=r"is not a mail address|host name"):
            AuthoritySettings.model_validate(
                {"directory_url": "https://ca.example/", "contact": [written]}
            )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("auto", ()),
        ("http-01", (ChallengeKind.HTTP_01,)),
        ("DNS-01", (ChallengeKind.DNS_01,)),
        (
            ["tls-alpn-01", "http-01", "tls-alpn-01"],
            (ChallengeKind.TLS_ALPN_01, ChallengeKind.HTTP_01),
        ),
    ],
)
def test_challenges_are_a_type_or_a_list(written: object, meant: tuple[ChallengeKind, ...]) -> None:
    gateway = GatewaySettings.model_validate({"hostname": "a.example", "challenge": written})
    assert gateway.challenge == meant


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("http-1", "dns-01, dns-account-01, dns-persist-01 (did you mean http-01?)"),
        ([], "is not a challenge type"),
        ({"http-01": {}}, "is not a challenge type"),
        (["auto", "http-01"], "auto cannot be in a list"),
        ([["http-01"]], "a list is not one of"),
    ],
)
def test_other_challenges_are_refused(written: object, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        GatewaySettings.model_validate({"hostname": "a.example", "challenge": written})
    assert said in caught.value.errors()[0]["msg"]


def test_refused_words_are_explained() -> None:
    with pytest.raises(ValidationError, match="no public CA issues for it"):
        KeySettings.model_validate({"type": "Ed25519"})
    with pytest.raises(ValidationError, match="its hash is broken"):
        Dns01Settings.model_validate(
            {
                "provider": "rfc2136",
                "tsig": {"name": "k", "algorithm": "hmac-md5", "secret_file": "/s"},
            }
        )


def test_alternative_names_and_copies_become_values_of_the_model() -> None:
    gateway = GatewaySettings.model_validate(
        {"hostname": "a.example", "alternative_names": ["::1", "B.example"]}
    )
    assert gateway.alternative_names == (
        Identifier(IdentifierType.IP, "::1"),
        Identifier(IdentifierType.DNS, "b.example"),
    )
    install = InstallSettings.model_validate(
        {"copy_to": [{"path": "/c.pem", "contents": "Combined", "mode": "0640"}]}
    )
    assert install.copy_to[0].contents is FileContents.COMBINED
    assert install.copy_to[0].mode == 0o640


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ({"C": "USA"}, "is not a two-letter country code"),
        ({"C": "ÖÜ"}, "is not a two-letter country code"),
        ({"O": "x" * 65}, "is longer than 64 characters"),
        ({"OU": "x" * 65}, "is longer than 64 characters"),
        ({"L": "x" * 129}, "is longer than 128 characters"),
        ({"ST": "x" * 129}, "is longer than 128 characters"),
    ],
)
def test_subjects_are_limited_to_valid_csrs(subject: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        GatewaySettings.model_validate({"hostname": "a.example", "subject": subject})
    assert said in caught.value.errors()[0]["msg"]


def test_settings_round_trip(design: Configuration) -> None:
    written = design.model_dump(mode="json", by_alias=True)
    assert Configuration.model_validate(written) == design
    assert os.fspath(design.state_directory) == written["state_directory"]


def test_zones_and_keys_of_dns_01_need_not_be_host_names() -> None:
    tsig = {"name": "GW_1/update", "secret_file": "/x"}
    settings = Dns01Settings.model_validate(
        {"provider": "rfc2136", "zone": "_acme-challenge.vpn.example.com", "tsig": tsig}
    )
    assert settings.zone == "_acme-challenge.vpn.example.com"
    assert settings.tsig is not None
    assert settings.tsig.name == "gw_1/update"


@pytest.mark.parametrize(
    ("written", "kept"), [("RFC2136", "rfc2136"), ("Exec", "exec"), ("Route53", "Route53")]
)
def test_built_in_providers_of_dns_01_are_case_insensitive(written: str, kept: str) -> None:
    assert Dns01Settings.model_validate({"provider": written}).provider == kept
