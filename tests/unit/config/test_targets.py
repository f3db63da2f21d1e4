from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from gatecert.config.schema import Configuration
from gatecert.config.targets import forwarded_listeners, targets
from gatecert.model import (
    Endpoint,
    FileContents,
    FileCopy,
    Identifier,
    IdentifierType,
    InstallPlan,
    KeyPolicy,
    KeyType,
    Member,
    Mode,
    RenewalPolicy,
    Target,
)

AUTHORITIES = {
    "one": {"directory_url": "https://one.example/"},
    "two": {"directory_url": "https://two.example/"},
}


def only(gateway: dict[str, object], **more: object) -> Target:
    configuration = {"authorities": AUTHORITIES, "gateways": {"g": gateway}, **more}
    (target,) = targets(Configuration.model_validate(configuration))
    return target


def test_a_minimal_gateway_has_the_defaults() -> None:
    assert only({"hostname": "G.example.com"}) == Target(
        name="g",
        identifiers=(Identifier(IdentifierType.DNS, "g.example.com"),),
        display_name="g.example.com",
        authorities=("one", "two"),
    )


def test_every_setting_reaches_the_target() -> None:
    target = only(
        {
            "hostname": "bücher.example",
            "alternative_names": ["a.example", "203.0.113.7", "xn--bcher-kva.example"],
            "region": "EU",
            "addresses": ["203.0.113.7"],
            "challenge": ["tls-alpn-01", "http-01"],
            "authorities": ["two", "one", "two"],
            "key": {"type": "rsa-3072", "reuse": True},
            "install": {
                "reload": ["/bin/true"],
                "reload_timeout": "5s",
                "verify": ["127.0.0.1"],
                "verify_timeout": "1m",
                "watch": "1h",
                "copy_to": [
                    {"path": "/c", "contents": "combined", "owner": "o", "group": "g", "mode": 288}
                ],
                "key_group": "ocserv",
                "keep_versions": 3,
            },
            "renewal": {"renewal_info": False, "remaining": 0.25},
        }
    )
    assert target == Target(
        name="g",
        identifiers=(
            Identifier(IdentifierType.DNS, "xn--bcher-kva.example"),
            Identifier(IdentifierType.DNS, "a.example"),
            Identifier(IdentifierType.IP, "203.0.113.7"),
        ),
        display_name="bücher.example (xn--bcher-kva.example)",
        mode=Mode.AUTOMATIC,
        region="eu",
        addresses=("203.0.113.7",),
        authorities=("two", "one"),
        challenges=("tls-alpn-01", "http-01"),
        key=KeyPolicy(KeyType.RSA_3072, reuse=True),
        install=InstallPlan(
            reload=("/bin/true",),
            reload_timeout=timedelta(seconds=5),
            verify=(Endpoint("127.0.0.1", 443),),
            verify_timeout=timedelta(minutes=1),
            watch=timedelta(hours=1),
            copy_to=(FileCopy(Path("/c"), FileContents.COMBINED, "o", "g", 0o440),),
            key_group="ocserv",
            keep_versions=3,
        ),
        renewal=RenewalPolicy(renewal_info=False, remaining=0.25),
    )


def test_the_defaults_of_settings_and_model_agree() -> None:
    target = only({"hostname": "g.example.com"})
    assert target.install == InstallPlan()
    assert target.renewal == RenewalPolicy()
    assert target.key == KeyPolicy()


def test_custom_gateways_have_no_authority() -> None:
    target = only({"hostname": "g.example.com", "mode": "custom"})
    assert (target.mode, target.authorities) == (Mode.CUSTOM, ())


def test_a_member_of_a_pair_has_its_own_name_too() -> None:
    target = only(
        {
            "hostname": "vpn.example.com",
            "alternative_names": ["other.example.com"],
            "mode": "custom",
            "members": {
                "primary": {"common_name": "one.example.com"},
                "spare": {"common_name": "two.example.com"},
            },
            "member": "spare",
            "subject": {"O": "Example", "C": "us"},
        }
    )
    assert [name.value for name in target.identifiers] == [
        "vpn.example.com",
        "two.example.com",
        "other.example.com",
    ]
    assert target.members == (
        Member("primary", "one.example.com"),
        Member("spare", "two.example.com"),
    )
    assert target.member == "spare"
    assert target.subject == (("O", "Example"), ("C", "US"))


def test_gateways_keep_their_order() -> None:
    gateways = {name: {"hostname": f"{name}.example.com"} for name in ("b", "a", "c")}
    configuration = Configuration.model_validate({"gateways": gateways})
    assert [target.name for target in targets(configuration)] == ["b", "a", "c"]


ALL_KINDS = {"tls-alpn-01": {}, "dns-01": {"provider": "exec", "command": ["x"]}}


@pytest.mark.parametrize(
    ("names", "set_up", "kinds"),
    [
        (["g.example"], {}, ("http-01",)),
        (["g.example"], ALL_KINDS, ("http-01", "tls-alpn-01", "dns-01")),
        (["*.example.com"], ALL_KINDS, ("dns-01",)),
        (["g.example", "*.example.com"], ALL_KINDS, ("http-01", "tls-alpn-01", "dns-01")),
        (["*.example.com", "::1"], ALL_KINDS, ("http-01", "tls-alpn-01", "dns-01")),
        (["*.example.com"], {}, ()),
        (["g.example"], {"dns-persist-01": {}}, ("http-01", "dns-persist-01")),
        (["*.example.com"], {"dns-persist-01": {}}, ("dns-persist-01",)),
        (["g.example", "::1"], {"dns-persist-01": {}}, ("http-01", "dns-persist-01")),
    ],
)
def test_auto_is_every_configured_type_that_can_validate_a_name(
    names: list[str], set_up: dict[str, object], kinds: tuple[str, ...]
) -> None:
    gateway: dict[str, object] = {"hostname": names[0], "alternative_names": names[1:]}
    assert only(gateway, challenges=set_up).challenges == kinds


@pytest.mark.parametrize(
    ("challenges", "forwarded"),
    [
        ({}, {"http-01": []}),
        ({"http-01": {"listen": ["127.0.0.1:888"]}}, {"http-01": ["127.0.0.1:888"]}),
        (
            {"http-01": {"listen": ["127.0.0.1:80", "192.0.2.1:80", "0.0.0.0:8080", "[::1]:80"]}},
            {"http-01": ["127.0.0.1:80", "0.0.0.0:8080", "[::1]:80"]},
        ),
        (
            {"http-01": {"webroot": "/var/www"}, "tls-alpn-01": {"listen": ["127.0.0.1:443"]}},
            {"tls-alpn-01": ["127.0.0.1:443"]},
        ),
        ({"tls-alpn-01": {}}, {"http-01": [], "tls-alpn-01": []}),
    ],
)
def test_an_address_that_the_ca_does_not_connect_to_is_forwarded_to(
    challenges: dict[str, object], forwarded: dict[str, list[str]]
) -> None:
    configuration = Configuration.model_validate(
        {"challenges": challenges, "gateways": {"hq": {"hostname": "hq.example.com"}}}
    )
    found = forwarded_listeners(configuration)
    assert {kind: list(map(str, each)) for kind, each in found.items()} == forwarded


def test_nothing_is_forwarded_for_a_type_that_no_gateway_uses() -> None:
    configuration = Configuration.model_validate(
        {
            "challenges": {
                "http-01": {"listen": ["127.0.0.1:888"]},
                "tls-alpn-01": {"listen": ["127.0.0.1:844"]},
            },
            "gateways": {
                "hq": {"hostname": "hq.example.com", "challenge": "tls-alpn-01"},
                "own": {"hostname": "own.example.com", "mode": "custom"},
            },
        }
    )
    assert list(forwarded_listeners(configuration)) == ["tls-alpn-01"]


DNS_01 = {"provider": "exec", "command": ["/bin/true"]}


@pytest.mark.parametrize(
    ("configured", "challenges"),
    [
        ({}, ()),
        ({"dns-01": DNS_01}, ("dns-01",)),
        ({"tls-alpn-01": {"listen": ["0.0.0.0:443"]}}, ()),
    ],
    ids=["http-01", "dns-01", "tls-alpn-01"],
)
def test_without_look_ups_only_a_txt_record_can_validate(
    configured: dict[str, object], challenges: tuple[str, ...]
) -> None:
    target = only({"hostname": "g.example.com", "resolution": False}, challenges=configured)
    assert (target.is_looked_up, target.challenges) == (False, challenges)
