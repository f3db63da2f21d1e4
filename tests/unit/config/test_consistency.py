from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.config.targets import targets
from gatecert.config.well_known import is_public_ca

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatecert.config.schema import Configuration

AUTHORITY = "authorities: {le: {directory_url: https://acme.example/}}\n"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("gateways: {}", "gateways: has no gateway"),
        (
            "gateways: {g: {hostname: g.example.com, name: other}}",
            "gateways.g.name: unknown key; the name is the key above it",
        ),
        (
            "challenges: {http-01: {listen: ['[::]:80'], webroot: /w}}",
            "challenges.http-01.webroot: cannot be combined with listen",
        ),
        ("challenges: {http-01: {listen: []}}", "challenges.http-01.listen: is empty"),
        ("challenges: {tls-alpn-01: {listen: []}}", "challenges.tls-alpn-01.listen: is empty"),
        (
            "challenges: {http-01: {listen: ['127.0.0.1:80', '127.0.0.1:80']}}",
            "listen[1]: 127.0.0.1:80 is already used by 127.0.0.1:80 of challenges.http-01.listen",
        ),
        (
            "challenges: {tls-alpn-01: {listen: ['[::1]:443', '[::]:443', '0.0.0.0:443']}}",
            "challenges.tls-alpn-01.listen[1]: [::]:443 is already used by [::1]:443",
        ),
        (
            "challenges: {tls-alpn-01: {listen: ['127.0.0.1:80']}}",
            "listen[0]: 127.0.0.1:80 is already used by 0.0.0.0:80 of challenges.http-01.listen",
        ),
        (
            "challenges: {dns-01: {provider: rfc2136}}",
            "challenges.dns-01.server: is required for provider rfc2136",
        ),
        (
            "challenges: {dns-01: {provider: exec}}",
            "challenges.dns-01.command: is required for provider exec",
        ),
        (
            "challenges: {dns-01: {provider: exec, command: [x], server: 192.0.2.1}}",
            "challenges.dns-01.server: is not used by provider exec; leave it out",
        ),
        (
            "challenges: {dns-01: {provider: hetzner, command: [x]}}",
            "challenges.dns-01.command: is not used by provider hetzner",
        ),
        (
            "challenges: {dns-01: {provider: rfc-2136, server: 192.0.2.1, zone: example.com}}",
            "challenges.dns-01.provider: rfc-2136 does not use server; did you mean rfc2136?",
        ),
        (
            "challenges: {dns-01: {provider: execute, command: [x], options: {a: b}}}",
            "challenges.dns-01.provider: execute does not use command; did you mean exec?",
        ),
        (
            "challenges: {dns-01: {provider: hetzner, options: {auth_token: x}}}",
            "challenges.dns-01.options.auth_token: is a secret; store it in a file",
        ),
        (
            "challenges: {dns-01: {provider: hetzner, propagation: recursive, authoritative: [a]}}",
            "challenges.dns-01.authoritative: is not used with propagation recursive",
        ),
        (
            "challenges: {dns-persist-01: {propagation: recursive, authoritative: [a]}}",
            "challenges.dns-persist-01.authoritative: is not used with propagation recursive",
        ),
    ],
)
def test_contradicting_settings_are_refused(
    complaints: Callable[[str], list[str]], written: str, told: str
) -> None:
    gateways = "" if "gateways" in written else "gateways: {g: {hostname: g.example.com}}\n"
    (line,) = complaints(f"{AUTHORITY}{gateways}{written}\n")
    assert told in line


@pytest.mark.parametrize(
    "challenges",
    [
        "{http-01: {listen: ['[::]:80', '0.0.0.0:80', '0.0.0.0:8080']}, tls-alpn-01: {}}",
        "{http-01: {webroot: /w}, tls-alpn-01: {listen: ['0.0.0.0:80']}}",
    ],
)
def test_listeners_without_overlap_are_accepted(
    configuration: Callable[[str], Configuration], challenges: str
) -> None:
    gateways = "gateways: {g: {hostname: g.example.com}}\n"
    assert configuration(f"{AUTHORITY}{gateways}challenges: {challenges}\n").gateways


@pytest.mark.parametrize(
    ("copy", "told"),
    [
        ("contents: pkcs12", "copy_to[0].password_file: is required for pkcs12"),
        (
            "contents: cert, password_file: secret",
            "copy_to[0].password_file: is not used for cert, which is not encrypted",
        ),
        (
            "contents: pkcs12, password_file: /no/such",
            "copy_to[0].password_file: names a file that does not exist",
        ),
        ("contents: pfx", 'copy_to[0].contents: "pfx" is not supported: write pkcs12'),
    ],
)
def test_only_pkcs12_has_a_password(
    complaints: Callable[[str], list[str]], tmp_path: Path, copy: str, told: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    install = f"install: {{copy_to: [{{path: /x, {copy}}}]}}"
    gateway = f"gateways: {{g: {{hostname: g.example.com, {install}}}}}"
    (line,) = complaints(f"{AUTHORITY}{gateway}\n")
    assert told in line


@pytest.mark.parametrize(
    ("gateway", "told"),
    [
        (
            "{hostname: '*.example.com', challenge: http-01}",
            "gateways.g.challenge: the wildcard *.example.com requires dns-01",
        ),
        (
            "{hostname: g.example.com, alternative_names: ['*.example.com'], challenge: [http-01]}",
            "gateways.g.challenge: the wildcard *.example.com requires dns-01",
        ),
        (
            "{hostname: '*.example.com'}",
            "gateways.g.challenge: the wildcard *.example.com requires dns-01",
        ),
        (
            "{hostname: g.example.com, challenge: tls-alpn-01}",
            "gateways.g.challenge: tls-alpn-01 is not configured; add challenges.tls-alpn-01",
        ),
        (
            "{hostname: g.example.com, challenge: dns-account-01}",
            "gateways.g.challenge: dns-account-01 is not configured; add challenges.dns-01",
        ),
        (
            "{hostname: g.example.com, challenge: dns-persist-01}",
            "gateways.g.challenge: dns-persist-01 is not configured; add challenges.dns-persist-01",
        ),
        (
            "{hostname: g.example.com, authorities: [l]}",
            "gateways.g.authorities[0]: l is not one of the authorities; did you mean le?",
        ),
        (
            "{hostname: g.example.com, authorities: [other]}",
            "gateways.g.authorities[0]: other is not one of the authorities; add it there",
        ),
        (
            "{hostname: g.example.com, mode: custom, member: primary}",
            "gateways.g.member: primary is not one of the members; add it there",
        ),
        (
            "{hostname: g.example.com, subject: {O: Example}}",
            "gateways.g.subject: requires mode: custom",
        ),
    ],
)
def test_gateways_that_cannot_work_are_refused(
    complaints: Callable[[str], list[str]], gateway: str, told: str
) -> None:
    (line,) = complaints(f"{AUTHORITY}gateways:\n  g: {gateway}\n")
    assert line.startswith("3: ")
    assert told in line


PAIR = """\
gateways:
  g:
    hostname: g.example.com
    mode: custom
    member: {member}
    members:
      primary: {{common_name: {primary}}}
      spare: {{common_name: spare.example.com}}
"""


@pytest.mark.parametrize(
    ("member", "primary", "told"),
    [
        (
            "prmary",
            "a.example.com",
            "5: gateways.g.member: prmary is not one of the members; did you",
        ),
        ("spare", "G.example.com", "7: gateways.g.members.primary.common_name: g.example.com is"),
        ("spare", "spare.example.com", "8: gateways.g.members.spare.common_name: spare.example"),
    ],
)
def test_pairs_with_ambiguous_members_are_refused(
    complaints: Callable[[str], list[str]], member: str, primary: str, told: str
) -> None:
    (line,) = complaints(PAIR.format(member=member, primary=primary))
    assert line.startswith(told)


def test_a_pair_needs_two_hosts(complaints: Callable[[str], list[str]]) -> None:
    gateway = "{hostname: g.example.com, members: {a: {common_name: a.example.com}}}"
    (line,) = complaints(f"{AUTHORITY}gateways:\n  g: {gateway}\n")
    assert "gateways.g.members: has only one host" in line


DNS = "challenges: {dns-01: {provider: rfc2136, server: 192.0.2.53}}\n"


@pytest.mark.parametrize(
    ("gateway", "told"),
    [
        (
            "{hostname: '*.example.com', alternative_names: ['::1'], challenge: http-01}",
            "gateways.g.challenge: the wildcard *.example.com requires dns-01",
        ),
        (
            "{hostname: g.example.com, alternative_names: ['::1'], challenge: dns-01}",
            "gateways.g.challenge: dns-01 cannot validate the IP address ::1",
        ),
        (
            "{hostname: g.example.com, alternative_names: ['::1'], challenge: dns-account-01}",
            "gateways.g.challenge: dns-account-01 cannot validate the IP address ::1",
        ),
    ],
)
def test_names_that_no_challenge_validates_are_refused(
    complaints: Callable[[str], list[str]], gateway: str, told: str
) -> None:
    (line,) = complaints(f"{AUTHORITY}{DNS}gateways:\n  g: {gateway}\n")
    assert told in line


@pytest.mark.parametrize(
    "written",
    [
        DNS + "gateways: {g: {hostname: '*.example.com'}}",
        DNS + "gateways: {g: {hostname: '*.example.com', challenge: [http-01, dns-01]}}",
        DNS + "gateways: {g: {hostname: g.example.com, alternative_names: ['::1']}}",
        DNS + "gateways: {g: {hostname: '*.example.com', alternative_names: ['::1']}}",
        "gateways: {g: {hostname: gateway, mode: custom}}",
        "gateways: {g: {hostname: '*.example.com', mode: custom}}",
        "gateways: {g: {hostname: gw.test}, h: {hostname: gw.example}}",
        "challenges: {http-01: {webroot: /var/www}}\ngateways: {g: {hostname: g.example.com}}",
        (
            "challenges: {dns-01: {provider: x, options: {auth_username: me}}}\n"
            "gateways: {g: {hostname: g.example.com}}"
        ),
    ],
)
def test_working_settings_are_accepted(
    configuration: Callable[[str], Configuration], written: str
) -> None:
    assert configuration(AUTHORITY + written).authorities


def test_two_gateways_cannot_share_a_hostname(complaints: Callable[[str], list[str]]) -> None:
    written = "gateways:\n  a: {hostname: g.example.com}\n  b: {hostname: G.example.com.}\n"
    (line,) = complaints(AUTHORITY + written)
    assert line.startswith("4: gateways.b.hostname: g.example.com is already the hostname of ")
    assert "gateway a; write each host once" in line


def test_no_file_is_written_twice(complaints: Callable[[str], list[str]]) -> None:
    written = """\
gateways:
  a:
    hostname: a.example.com
    install: {copy_to: [{path: /x, contents: cert}, {path: /x, contents: chain}]}
  b:
    hostname: b.example.com
    install: {copy_to: [{path: /x, contents: cert}]}
"""
    assert complaints(AUTHORITY + written) == [
        "5: gateways.a.install.copy_to[1].path: is already written by gateway a",
        "8: gateways.b.install.copy_to[0].path: is already written by gateway a",
    ]


@pytest.mark.parametrize(
    "gateway",
    [
        "{hostname: g.example.com, mode: custom}",
        "{hostname: g.example.com, region: cn}",
        "{hostname: g.example.cn}",
        "{hostname: g.example.cn, region: global}",
        "{hostname: g.example.com, alternative_names: [g.example.cn]}",
        "{hostname: g.中国}",
        "{hostname: g.中國}",
    ],
)
def test_a_gateway_that_never_enrols_needs_no_authority(
    configuration: Callable[[str], Configuration], gateway: str
) -> None:
    assert configuration(f"gateways: {{g: {gateway}}}\n").authorities == {}


@pytest.mark.parametrize(
    "written",
    [
        "gateways: {g: {hostname: g.example.com}}",
        "gateways: {g: {hostname: g.example.com, alternative_names: [cn.example.com]}}",
        "excluded_regions: []\ngateways: {g: {hostname: g.example.cn}}",
    ],
)
def test_a_gateway_that_enrols_needs_an_authority(
    complaints: Callable[[str], list[str]], written: str
) -> None:
    (line,) = complaints(written)
    assert "authorities: must have an entry, because gateway g has mode automatic" in line


@pytest.mark.parametrize(
    ("gateway", "told"),
    [
        (
            "key: {second: ecdsa-p384}",
            "key.second: has the same algorithm as ecdsa-p256; write rsa-2048",
        ),
        (
            "key: {type: rsa-2048, second: rsa-4096}",
            "has the same algorithm as rsa-2048; write ecdsa-p256",
        ),
        (
            "mode: custom, key: {second: rsa-2048}",
            "key.second: requires mode: automatic",
        ),
        ("key: {second: ed25519}", "no public CA issues for it"),
    ],
)
def test_two_keys_have_different_algorithms(
    complaints: Callable[[str], list[str]], gateway: str, told: str
) -> None:
    (line,) = complaints(f"{AUTHORITY}gateways: {{g: {{hostname: g.example.com, {gateway}}}}}\n")
    assert told in line


PUBLIC = "letsencrypt: {directory_url: letsencrypt, terms_of_service_agreed: true}"
PRIVATE = "corp: {directory_url: https://ca.corp.example/acme, terms_of_service_agreed: true}"


@pytest.mark.parametrize(
    ("gateway", "told"),
    [
        ("{hostname: gateway}", "gateways.g.hostname: gateway has no domain"),
        ("{hostname: gw.lan}", "gateways.g.hostname: gw.lan is in the private zone lan"),
        (
            "{hostname: g.example.com, alternative_names: [203.0.113.7, x.internal]}",
            "gateways.g.alternative_names[1]: x.internal is in the private zone internal",
        ),
        (
            "{hostname: g.example.com, alternative_names: [10.1.2.3]}",
            "gateways.g.alternative_names[0]: 10.1.2.3 is a private address",
        ),
    ],
)
def test_only_a_private_ca_issues_for_private_names(
    complaints: Callable[[str], list[str]],
    configuration: Callable[[str], Configuration],
    gateway: str,
    told: str,
) -> None:
    (line,) = complaints(f"authorities: {{{PUBLIC}}}\ngateways: {{g: {gateway}}}\n")
    assert told in line
    assert "public CAs (letsencrypt) cannot issue for it" in line
    for authorities in (PRIVATE, f"{PUBLIC}, {PRIVATE}"):
        written = f"authorities: {{{authorities}}}\ngateways: {{g: {gateway}}}\n"
        (target,) = targets(configuration(written))
        assert target.authorities == ("corp",)
    only = gateway.replace("}", ", authorities: [letsencrypt]}")
    (line,) = complaints(f"authorities: {{{PUBLIC}, {PRIVATE}}}\ngateways: {{g: {only}}}\n")
    assert told in line


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://acme-v02.api.letsencrypt.org/directory", True),
        ("https://acme.zerossl.com/v2/DV90", True),
        ("https://one.digicert.com/mpki/api/v1/acme", False),
        ("https://letsencrypt.org.evil.example/directory", False),
        ("https://ca.corp.internal/acme/directory", False),
    ],
)
def test_public_cas_are_known_by_their_domain(url: str, *, public: bool) -> None:
    assert is_public_ca(url) is public


RELAY = "authorities: {relay: {directory_url: https://relay.example/}, letsencrypt: {}}\n"
FIELD = "gateways: {g: {hostname: g.example.com, resolution: off, "
DNS_01 = "challenges: {dns-01: {provider: exec, command: [/bin/true]}}\n"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (f"{FIELD}authorities: [relay], challenge: http-01}}}}", "cannot be off with http-01"),
        (
            f"{DNS_01}{FIELD}authorities: [relay], challenge: [dns-01, http-01]}}}}",
            "cannot be off with http-01",
        ),
        (
            f"{FIELD}authorities: [relay, letsencrypt]}}}}",
            "cannot be off without dns-01: letsencrypt validates every name",
        ),
        (f"{DNS_01}{FIELD}ddns: {{}}}}}}", "cannot be off with ddns"),
    ],
)
def test_names_are_looked_up_where_the_ca_connects(
    complaints: Callable[[str], list[str]], written: str, told: str
) -> None:
    assert any(f"gateways.g.resolution: {told}" in each for each in complaints(RELAY + written))


@pytest.mark.parametrize(
    "written",
    [
        f"{FIELD}authorities: [relay]}}}}",
        f"{FIELD}authorities: [relay], alternative_names: ['*.g.example.com', 192.0.2.7]}}}}",
        f"{DNS_01}{FIELD}challenge: dns-01}}}}",
        f"{DNS_01}{FIELD}}}}}",
        f"{FIELD}mode: custom, challenge: http-01}}}}",
    ],
)
def test_elsewhere_they_need_not_be(
    configuration: Callable[[str], Configuration], written: str
) -> None:
    assert not configuration(RELAY + written).gateways["g"].resolution
