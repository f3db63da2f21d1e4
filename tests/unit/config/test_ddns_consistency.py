from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatecert.config.schema import Configuration

START = "authorities: {le: {directory_url: https://acme.example/}}\n"


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.touch(0o600)
    path.write_text("secret", "ascii")
    return str(path)


def gateway(ddns: str, more: str = "", hostname: str = "g.example.com") -> str:
    return f"{START}gateways: {{g: {{hostname: {hostname}, {more} ddns: {{{ddns}}}}}}}\n"


DYNDNS2 = "provider: dyndns2, service: noip, password_file: SECRET"


@pytest.mark.parametrize(
    ("ddns", "told"),
    [
        ("", "ddns.provider: is required, since challenges.dns-01 is not configured"),
        ("ttl: 5m", "ddns.ttl: is not used with the provider of challenges.dns-01"),
        ("provider: rfc2136", "ddns.server: is required for provider rfc2136"),
        ("provider: rfc2136, server: ns1, service: noip", "ddns.service: is not used by provider"),
        ("provider: rfc2163, server: ns1", "rfc2163 does not use server; did you mean rfc2136?"),
        ("provider: noip, password_file: SECRET", "write provider: dyndns2 and service: noip"),
        ("provider: desec, password_file: SECRET", "write provider: dyndns2 and service: desec"),
        ("provider: cloudflare, password_file: SECRET", "ddns.password_file: is not used by"),
        ("provider: cloudflare, options: {auth_token: x}", "auth_token: is a secret"),
        ("provider: dyndns2, password_file: SECRET", "ddns.service: is required for provider"),
        ("provider: dyndns2, service: noip", "ddns.password_file: is required"),
        (f"{DYNDNS2}, url: https://x.example/", "ddns.url: excludes service"),
        (f"{DYNDNS2}, remove_stale: yes", "remove_stale: is not possible over dyndns2"),
        ("provider: dyndns2, service: nooip", "(did you mean noip?)"),
        ("provider: dyndns2, service: duckdns", "write provider: duckdns"),
        ("provider: dyndns2, url: http://x.example/", "over plain http anyone"),
        ("provider: dyndns2, url: https://u:p@x.example/", "must not contain a user name"),
        ("provider: duckdns", "ddns.credentials: is required for provider duckdns"),
        ("provider: duckdns, credentials: {token: SECRET}", "not a credential of provider duckdns"),
        ("provider: duckdns, credentials: {auth_token: SECRET}", "does not end in .duckdns.org"),
        (f"{DYNDNS2}, source: {{}}", "ddns.source: is empty; write one of interface, resolver"),
        (f"{DYNDNS2}, source: {{interface: a, resolver: google}}", "excludes interface"),
        (f"{DYNDNS2}, source: {{https: http://x.example}}", "over plain http"),
        (f"{DYNDNS2}, source: {{resolver: opendsn}}", "(did you mean opendns?)"),
        (f"{DYNDNS2}, source: {{https: https://x.example}}, remove_stale: yes", "remove_stale"),
        (f"{DYNDNS2}, records: [MX]", "ddns.records:"),
        (f"{DYNDNS2}, records: []", "is not a list of record types"),
        (f"{DYNDNS2}, pasword_file: x", "did you mean password_file?"),
        ("provider: dyndns2, service: noip, password_file: /missing", "does not exist"),
    ],
)
def test_what_cannot_work_is_an_error(
    complaints: Callable[[str], list[str]], secret: str, ddns: str, told: str
) -> None:
    found = complaints(gateway(ddns.replace("SECRET", secret)))
    assert any(told in line for line in found), found
    assert len(found) <= 2


def test_the_command_of_dns_01_cannot_be_used(complaints: Callable[[str], list[str]]) -> None:
    written = "challenges: {dns-01: {provider: exec, command: [/bin/true]}}\n" + gateway("")
    (line,) = complaints(written)
    assert "ddns.provider: is required, since the command of challenges.dns-01" in line


def test_private_addresses_are_not_published(
    complaints: Callable[[str], list[str]], secret: str
) -> None:
    ddns = DYNDNS2.replace("SECRET", secret)
    (line,) = complaints(gateway(ddns, "addresses: [10.0.0.1],"))
    assert "addresses[0]: 10.0.0.1 is a private address" in line


@pytest.mark.parametrize(
    ("ddns", "more"),
    [
        (DYNDNS2, ""),
        (f"{DYNDNS2}, allow_private: yes", "addresses: [10.0.0.1],"),
        (f"{DYNDNS2}, source: {{resolver: google}}", "addresses: [10.0.0.1],"),
        ("provider: DynDNS2, url: https://x.example/u, password_file: SECRET, records: A", ""),
        ("provider: dyndns2, service: desec, password_file: SECRET, remove_stale: yes", ""),
        ("provider: cloudflare, credentials: {auth_token: SECRET}, ttl: 2m", ""),
        ("provider: rfc2136, server: ns1.example.com, zone: example.com", ""),
    ],
)
def test_what_works_is_accepted(
    configuration: Callable[[str], Configuration], secret: str, ddns: str, more: str
) -> None:
    loaded = configuration(gateway(ddns.replace("SECRET", secret), more))
    assert loaded.gateways["g"].ddns is not None


def test_defaults_are_shared_and_a_gateway_may_do_without(
    configuration: Callable[[str], Configuration], secret: str
) -> None:
    ddns = DYNDNS2.replace("SECRET", secret)
    loaded = configuration(
        f"{START}defaults: {{ddns: {{{ddns}}}}}\n"
        "gateways:\n"
        "  a: {hostname: a.example.com}\n"
        "  b: {hostname: b.example.com, ddns: {records: [AAAA]}}\n"
        "  c: {hostname: c.example.com, ddns: null}\n"
    )
    kept = {name: gateway.ddns for name, gateway in loaded.gateways.items()}
    assert kept["a"] is not None
    assert kept["a"].provider == "dyndns2"
    assert kept["b"] is not None
    assert [*kept["b"].records] == ["AAAA"]
    assert kept["b"].service == "noip"
    assert kept["c"] is None
