from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gatecert.model import CountedBy, CountedRequest, RequestKind
from gatecert.store.request_groups import groups_of, registered_domain

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("a.b.example.co.uk", "example.co.uk"),
        ("*.example.com", "example.com"),
        ("me.github.io", "me.github.io"),
        ("co.uk", "co.uk"),
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
    ],
)
def test_registered_domains(name: str, domain: str) -> None:
    assert registered_domain(name) == domain


@pytest.mark.parametrize(
    ("by", "values"),
    [
        (CountedBy.ALL, [""]),
        (CountedBy.ACCOUNT, ["https://ca.test/account/1"]),
        (CountedBy.ACCOUNT_AND_NAMES, ["https://ca.test/account/1 b.example.org a.example.org"]),
        (CountedBy.NAMES, ["a.example.org b.example.org"]),
        (CountedBy.REGISTERED_DOMAIN, ["example.org"]),
    ],
)
def test_a_group_is_a_key_that_another_store_can_look_up(by: CountedBy, values: list[str]) -> None:
    account, names = "https://ca.test/account/1", ("b.example.org", "a.example.org")
    request = CountedRequest(RequestKind.CERTIFICATE, NOW, account=account, names=names)
    assert list(groups_of(request, by)) == values


def test_a_request_counts_once_for_each_registered_domain() -> None:
    names = ("vpn.example.org", "*.example.com", "example.com", "192.0.2.1")
    request = CountedRequest(RequestKind.CERTIFICATE, NOW, names=names)
    found = groups_of(request, CountedBy.REGISTERED_DOMAIN)
    assert list(found) == ["192.0.2.1", "example.com", "example.org"]
