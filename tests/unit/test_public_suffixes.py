"""Registrable domains of names."""

from __future__ import annotations

import pytest

from gatecert.public_suffixes import is_public_suffix, registrable_domain


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("_acme-challenge.vpn.example.com", "example.com"),
        ("vpn.example.co.uk", "example.co.uk"),
        ("_acme-challenge.myhome.duckdns.org", "myhome.duckdns.org"),
        ("duckdns.org", "duckdns.org"),
        ("com", "com"),
    ],
)
def test_the_registrable_domain_is_below_a_public_suffix(name: str, domain: str) -> None:
    assert registrable_domain(name) == domain


def test_public_suffixes_are_distinguished_from_domains() -> None:
    assert is_public_suffix("duckdns.org")
    assert is_public_suffix("co.uk")
    assert not is_public_suffix("myhome.duckdns.org")
    assert not is_public_suffix("example.com")


@pytest.mark.parametrize("zone", ["internal", "lan", "printer"])
def test_private_zones_are_not_public_suffixes(zone: str) -> None:
    assert not is_public_suffix(zone)
