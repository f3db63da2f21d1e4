"""Requests that a page of a stranger may have sent."""

from __future__ import annotations

import pytest

from gatecert.monitoring.host_check import MISDIRECTED, is_misdirected


@pytest.mark.parametrize(
    "host",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:9877",
        "10.0.0.1:9877",
        "[::1]",
        "[::1]:9877",
        "localhost",
        "LocalHost:9877",
        "localhost.:9877",
        "gatecert.localhost",
    ],
)
@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.8.8", "::1"])
def test_an_address_and_localhost_are_this_host(host: str, client: str) -> None:
    assert not is_misdirected(host, client)


@pytest.mark.parametrize(
    "host",
    ["rebinding.example", "rebinding.example:9877", "127.0.0.1.example", "[evil", "a b", "é"],
)
@pytest.mark.parametrize("client", ["127.0.0.1", "::1"])
def test_a_name_may_be_of_a_stranger(host: str, client: str) -> None:
    assert is_misdirected(host, client)


@pytest.mark.parametrize("client", ["192.0.2.1", "fe80::1", "socket", ""])
def test_others_than_this_host_may_use_names(client: str) -> None:
    assert not is_misdirected("vpn.example.org:9877", client)


def test_the_refusal_says_what_a_proxy_must_do() -> None:
    assert MISDIRECTED.status == 421
    assert b"Host" in MISDIRECTED.body
