from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.config.effective_settings import effective_settings
from gatecert.config.include import read
from gatecert.config.load import load, validate
from gatecert.model import KeyType

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatecert.config.schema import Configuration

FLEET = """\
authorities: {le: {directory_url: https://acme.example.com/}}
defaults:
  key: {type: rsa-2048, reuse: true}
  region: us
  client_authentication: {}
  install: {reload: [systemctl, reload, haproxy], key_group: haproxy, verify: [a, b]}
gateways:
  usual: {hostname: usual.example.com}
  own:
    hostname: own.example.com
    region: ~
    client_authentication: null
    key: {reuse: false}
    install: {verify: ["127.0.0.1:443"], key_group: null, reload: , watch: 1m}
"""


def test_gateways_have_what_they_do_not_set(configuration: Callable[[str], Configuration]) -> None:
    usual = configuration(FLEET).gateways["usual"]
    assert usual.key.type is KeyType.RSA_2048
    assert usual.key.reuse
    assert usual.region == "us"
    assert usual.client_authentication is not None
    assert usual.install.reload == ("systemctl", "reload", "haproxy")
    assert [server.host for server in usual.install.verify] == ["a", "b"]


def test_gateways_replace_values_and_merge_groups(
    configuration: Callable[[str], Configuration],
) -> None:
    own = configuration(FLEET).gateways["own"]
    assert own.key.type is KeyType.RSA_2048
    assert not own.key.reuse
    assert [server.host for server in own.install.verify] == ["127.0.0.1"]
    assert own.install.watch.total_seconds() == 60


def test_null_removes_a_default_and_nothing_keeps_it(
    configuration: Callable[[str], Configuration],
) -> None:
    own = configuration(FLEET).gateways["own"]
    assert own.region is None
    assert own.client_authentication is None
    assert own.install.key_group is None
    assert own.install.reload == ("systemctl", "reload", "haproxy")


@pytest.mark.parametrize("written", ["defaults:\n", "defaults: {}\n", "defaults: {install: }\n"])
def test_empty_defaults_change_nothing(
    configuration: Callable[[str], Configuration], written: str
) -> None:
    gateways = "gateways: {g: {hostname: x.cn, key: {type: rsa-4096}}}\n"
    assert configuration(written + gateways).gateways == configuration(gateways).gateways


@pytest.mark.parametrize(
    ("shared", "key"),
    [
        ("hostname: a.example.com", "hostname"),
        ("alternative_names: []", "alternative_names"),
        ("members: {}", "members"),
        ("install: {copy_to: []}", "install.copy_to"),
        ("profile: {display_name: x}", "profile.display_name"),
    ],
)
def test_what_differs_between_gateways_cannot_be_shared(
    complaints: Callable[[str], list[str]], shared: str, key: str
) -> None:
    what = "differs between gateways, so it cannot be shared; write it below each gateway"
    found = complaints(f"defaults: {{{shared}}}\ngateways: {{g: {{hostname: x.cn}}}}\n")
    assert found == [f"1: defaults.{key}: {what}"]


def test_an_error_in_the_defaults_is_reported_once(complaints: Callable[[str], list[str]]) -> None:
    gateways = "".join(f"  g{number}: {{hostname: g{number}.cn}}\n" for number in range(5))
    found = complaints(
        "defaults:\n"
        "  install: {watch: 5, reloa: [x]}\n"
        "  challenge: dns-1\n"
        "  name: x\n"
        f"gateways:\n  bad: {{hostname: 10.0.0.1}}\n{gateways}"
    )
    assert [line.partition(": ")[2].partition(": ")[0] for line in found] == [
        "defaults.install.watch",
        "defaults.install.reloa",
        "defaults.challenge",
        "defaults.name",
        "gateways.bad.hostname",
    ]


@pytest.mark.parametrize(
    ("gateways", "told"),
    [
        ("", "1: gateways: is missing"),
        ("gateways: {}\n", "2: gateways: has no gateway"),
        ("gateways: [a]\n", "2: gateways: must contain names"),
        ("gateways: {a: }\n", "2: gateways.a: must contain keys and values"),
        ("gateways: {a: {}}\n", "2: gateways.a.hostname: is missing"),
        ("gateways: {a: {hostname: }}\n", "2: gateways.a.hostname: is missing"),
        ("gateways: {a: {hostname: x.cn, install: 5}}\n", "2: gateways.a.install: must contain"),
    ],
)
def test_what_gateways_lack_is_no_error_of_the_defaults(
    complaints: Callable[[str], list[str]], gateways: str, told: str
) -> None:
    (found,) = complaints("defaults: {install: {watch: 1m}}\n" + gateways)
    assert found.startswith(told)


def test_what_does_not_fit_the_rest_is_reported_at_the_defaults(
    complaints: Callable[[str], list[str]],
) -> None:
    found = complaints(
        "authorities: {le: {directory_url: https://acme.example.com/}}\n"
        "defaults:\n"
        "  challenge: dns-01\n"
        "  key: {second: ecdsa-p384}\n"
        "  authorities: [lee]\n"
        "gateways:\n"
        "  a: {hostname: a.example.com}\n"
        "  b: {hostname: b.example.com}\n"
        "  c: {hostname: c.example.com, authorities: [two]}\n"
    )
    assert [line.rpartition(";")[0] for line in found] == [
        "3: defaults.challenge: dns-01 is not configured",
        "4: defaults.key.second: has the same algorithm as ecdsa-p256",
        "5: defaults.authorities[0]: lee is not one of the authorities",
        "9: gateways.c.authorities[0]: two is not one of the authorities",
    ]


def test_consequences_of_an_error_in_the_defaults_are_not_reported(
    complaints: Callable[[str], list[str]],
) -> None:
    found = complaints(
        "authorities: {le: {directory_url: https://acme.example.com/}}\n"
        "defaults: {challenge: dns-1}\n"
        'gateways: {a: {hostname: "*.example.com"}}\n'
    )
    assert [line.partition(": ")[2].partition(": ")[0] for line in found] == ["defaults.challenge"]


def test_the_defaults_may_be_in_several_files(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("include: [more.yaml]\ndefaults: {key: {type: rsa-2048}}\n", "utf-8")
    more = "defaults: {key: {reuse: true}, client_authentication: {crl_files: [a.crl]}}\n"
    (tmp_path / "more.yaml").write_text(f"{more}gateways: {{g: {{hostname: x.cn}}}}\n", "utf-8")
    gateway = load(path).gateways["g"]
    assert (gateway.key.type, gateway.key.reuse) == (KeyType.RSA_2048, True)
    assert gateway.client_authentication is not None
    assert gateway.client_authentication.crl_files == (tmp_path / "a.crl",)


def test_every_setting_is_explained_with_its_origin(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(FLEET, "utf-8")
    document = read(path)
    own = validate(document).gateways["own"]
    shown = {
        setting.key: (setting.value, setting.origin.replace(f"{path}:", ""))
        for setting in effective_settings(document, ("gateways", "own"), own)
    }
    assert shown["hostname"] == ("own.example.com", "10")
    assert shown["region"] == ("none", "11")
    assert shown["client_authentication"] == ("none", "12")
    assert shown["mode"] == ("automatic", "built-in default")
    assert shown["key.type"] == ("rsa-2048", "defaults, 3")
    assert shown["key.reuse"] == ("false", "13")
    assert shown["install.reload"] == ('["systemctl", "reload", "haproxy"]', "defaults, 6")
    assert shown["install.watch"] == ("1m", "14")
    assert shown["install.verify"] == ('["127.0.0.1:443"]', "14")
    assert shown["renewal.renewal_info"] == ("true", "built-in default")
    assert "addresses" not in shown


def test_the_path_of_a_secret_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "gateways: {g: {hostname: x.cn, install: {copy_to: [{path: x.p12, contents: pkcs12,"
        " password_file: S3cr3t}]}, ddns: {provider: rfc2136, server: 192.0.2.53, tsig: {name: k,"
        " secret_file: S3cr3t}}}}\n",
        "utf-8",
    )
    document = read(path)
    gateway = validate(document, check_files=False).gateways["g"]
    shown = {
        setting.key: setting.value
        for setting in effective_settings(document, ("gateways", "g"), gateway)
    }
    assert shown["install.copy_to[0].password_file"] == "(secret)"
    assert shown["install.copy_to[0].path"] == str(tmp_path / "x.p12")
    assert shown["ddns.tsig.secret_file"] == "(secret)"
    assert shown["ddns.tsig.name"] == "k"
    assert "S3cr3t" not in str(shown)


def test_the_paths_of_several_secrets_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "gateways: {g: {hostname: x.cn, ddns: {provider: cloudflare, options: {auth_username: me},"
        " credentials: {auth_token: S3cr3t}}}}\n",
        "utf-8",
    )
    document = read(path)
    gateway = validate(document, check_files=False).gateways["g"]
    shown = {
        setting.key: setting.value
        for setting in effective_settings(document, ("gateways", "g"), gateway)
    }
    assert ("ddns.credentials.auth_token", "(secret)") in shown.items()
    assert shown["ddns.options.auth_username"] == "me"
