from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from gatecert.config.addresses import DnsServer, Listener, Nameserver, TlsServer, address, endpoint
from gatecert.config.values import BadValueError
from gatecert.model import Endpoint


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("127.0.0.1:443", Endpoint("127.0.0.1", 443)),
        ("[::]:80", Endpoint("::", 80)),
        ("[2001:DB8::0:1]:53", Endpoint("2001:db8::1", 53)),
        ("VPN.example.com:443", Endpoint("vpn.example.com", 443)),
        ("localhost:1", Endpoint("localhost", 1)),
        ("localhost:65535", Endpoint("localhost", 65535)),
        (Endpoint("127.0.0.1", 0), Endpoint("127.0.0.1", 0)),
    ],
)
def test_endpoints_are_parsed(written: object, meant: Endpoint) -> None:
    assert endpoint(written) == meant


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("127.0.0.1", "has no port; write it like [::1]:80 or 127.0.0.1:80"),
        ("[::1]", "has no port"),
        ("::1", "has no port"),
        ("::1:80", "has no port"),
        ("127.0.0.1:", "is not a host and a port"),
        ("127.0.0.1:0", "is not a host and a port"),
        ("127.0.0.1:65536", "is not a host and a port"),
        ("127.0.0.1:http", "is not a host and a port"),
        (":80", "is not a host and a port"),
        ("[::1]:80:90", "has no port"),
        ("999.1.1.1:80", "does not name a valid host"),
        ("a_b:80", "does not name a valid host"),
        ("[fe80]:80", "does not name a valid host"),
        ("[fe80:]:80", "does not name a valid host"),
        ("", "is empty"),
        (None, "is not plain text"),
    ],
)
def test_other_endpoints_are_refused(written: object, said: str) -> None:
    with pytest.raises(BadValueError) as caught:
        endpoint(written)
    assert said in str(caught.value)


def test_each_key_has_its_own_default_port() -> None:
    assert TypeAdapter(Nameserver).validate_python("::1") == Endpoint("::1", 53)
    assert TypeAdapter(Nameserver).validate_python("192.0.2.1") == Endpoint("192.0.2.1", 53)
    assert TypeAdapter(DnsServer).validate_python("ns.example.com") == Endpoint(
        "ns.example.com", 53
    )
    assert TypeAdapter(TlsServer).validate_python("[::1]") == Endpoint("::1", 443)
    with pytest.raises(ValidationError, match="has no port"):
        TypeAdapter(Listener).validate_python("127.0.0.1")


def test_listeners_and_nameservers_must_be_addresses() -> None:
    for kind in (Listener, Nameserver):
        with pytest.raises(ValidationError, match="does not name an IP address"):
            TypeAdapter(kind).validate_python("localhost:53")


@pytest.mark.parametrize(
    ("written", "wanted"),
    [("[::ffff:0.0.0.0]:80", "0.0.0.0:80"), ("[::ffff:c000:207]:80", "192.0.2.7:80")],
)
def test_ipv4_mapped_listeners_are_refused(written: str, wanted: str) -> None:
    with pytest.raises(ValidationError, match=f"is an IPv4-mapped IPv6 address; write {wanted}"):
        TypeAdapter(Listener).validate_python(written)


def test_endpoints_round_trip() -> None:
    for written in ("[2001:db8::1]:443", "127.0.0.1:443"):
        assert TypeAdapter(TlsServer).dump_python(endpoint(written)) == written


def test_addresses_are_canonicalised() -> None:
    assert address("2001:DB8:0::1") == "2001:db8::1"
    assert address("[::1]") == "::1"
    for written, said in [
        ("::", "a unicast address"),
        ("ff02::1", "a unicast address"),
        ("gw.example.com", "is not an IP address"),
        ("203.0.113.7/24", "is not an IP address"),
        (None, "is not an IP address"),
    ]:
        with pytest.raises(BadValueError, match=said):
            address(written)
