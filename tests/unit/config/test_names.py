from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatecert.config.names import (
    country,
    display_form,
    gateway_host_name,
    host_name,
    identifier,
    key_name,
    private_zone,
    region,
    safe_name,
    zone_name,
)
from gatecert.config.values import BadValueError
from gatecert.model import Identifier, IdentifierType


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Boston-Njndubu.Dynamic-M.com", "boston-njndubu.dynamic-m.com"),
        ("a.example.", "a.example"),
        ("*.Example.com", "*.example.com"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("gateway", "gateway"),
        (".".join(["a" * 63] * 3 + ["b" * 61]), ".".join(["a" * 63] * 3 + ["b" * 61])),
    ],
)
def test_host_names_become_a_labels(written: str, kept: str) -> None:
    assert host_name(written) == kept


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("a..example", "has an empty label"),
        ("a.example..", "has an empty label"),
        (".example", "has an empty label"),
        ("*.", "has an empty label"),
        ("a.*.example", "a wildcard must be the whole first label"),
        ("*a.example", "a wildcard must be the whole first label"),
        ("*.*.example", "a wildcard must be the whole first label"),
        ("https://a.example", "leave out scheme, port and path"),
        ("a.example:443", "leave out scheme, port and path"),
        ("a_b.example", '"a_b" in "a_b.example" is not a valid host name label'),
        ("-a.example", "is not a valid host name label"),
        ("a b.example", "is not a valid host name label"),
        ("a" * 64 + ".example", "longer than 63 characters"),
        (".".join(["a" * 62] * 4 + ["bc"]), "longer than 253 characters"),
        ("1.2.3.4.5", "is neither a host name nor an IP address"),
        ("xn--a.example", "is not a valid international name"),
        ("bü cher.example", "is not a valid international name"),
        ("", "is empty"),
        (None, "is not plain text"),
    ],
)
def test_other_host_names_are_refused(written: object, said: str) -> None:
    with pytest.raises(BadValueError) as caught:
        host_name(written)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Example.com.", "example.com"),
        ("_acme-challenge.vpn.example.com", "_acme-challenge.vpn.example.com"),
        ("_acme-challenge.bücher.example", "_acme-challenge.xn--bcher-kva.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("-a_.example", "-a_.example"),
    ],
)
def test_zones_and_keys_allow_more_than_host_names(written: str, kept: str) -> None:
    assert zone_name(written) == key_name(written) == kept


def test_key_names_allow_slashes() -> None:
    assert key_name("gw_1/Update.2026") == "gw_1/update.2026"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("*.example.com", "is not a valid label: 1 to 63 letters"),
        ("a..example", '"" in "a..example" is not a valid label'),
        ("a.example..", "is not a valid label"),
        (".", "is not a valid label"),
        ("a b.example", "is not a valid label"),
        ("a" * 64 + ".example", "is not a valid label"),
        (".".join(["a" * 62] * 4 + ["bc"]), "longer than 253 characters"),
        ("", "is empty"),
        (None, "is not plain text"),
    ],
)
def test_other_zones_and_keys_are_refused(written: object, said: str) -> None:
    for read in (zone_name, key_name):
        with pytest.raises(BadValueError, match=said):
            read(written)


@pytest.mark.parametrize("written", ["a/b.example", "192.0.2.7"])
def test_some_names_are_valid_for_keys_only(written: str) -> None:
    assert key_name(written) == written
    with pytest.raises(BadValueError, match=r"is not a valid label|is not the name of a zone"):
        zone_name(written)


@given(st.text())
def test_any_text_is_a_zone_or_refused_in_one_line(written: str) -> None:
    refusal: BadValueError | None = None
    name = ""
    try:
        name = zone_name(written)
    except BadValueError as error:
        refusal = error
    if refusal is None:
        assert name.isascii()
        assert zone_name(name) == name
    else:
        assert str(refusal).isprintable()


@given(st.text())
def test_any_text_is_a_name_or_refused_in_one_line(written: str) -> None:
    refusal: BadValueError | None = None
    name = ""
    try:
        name = host_name(written)
    except BadValueError as error:
        refusal = error
    if refusal is None:
        assert name.isascii()
        assert host_name(name) == name
    else:
        assert str(refusal).isprintable()


@pytest.mark.parametrize("written", ["203.0.113.7", "2001:db8::1", "[2001:db8::1]"])
def test_a_gateway_needs_a_dns_name(written: str) -> None:
    with pytest.raises(BadValueError, match="is an IP address; write a DNS name here"):
        gateway_host_name(written)
    assert gateway_host_name("A.example") == "a.example"


def test_alternative_names_may_be_addresses() -> None:
    assert identifier("2001:DB8::0:7") == Identifier(IdentifierType.IP, "2001:db8::7")
    assert identifier("[::1]") == Identifier(IdentifierType.IP, "::1")
    name = Identifier(IdentifierType.DNS, "a.example")
    assert identifier("A.example") == identifier(name) == name


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("fe80::1%eth0", "which certificates do not contain; write fe80::1$"),
        ("[FE80::1%1]", "which certificates do not contain; write fe80::1$"),
        ("0.0.0.0", "is not a unicast address"),  # noqa: S104 - refused
        ("::", "is not a unicast address"),
        ("224.0.0.1", "is not a unicast address"),
        ("ff02::1", "is not a unicast address"),
    ],
)
def test_a_non_unicast_address_is_not_an_alternative_name(written: str, said: str) -> None:
    with pytest.raises(BadValueError, match=said):
        identifier(written)


def test_names_are_shown_as_u_labels_and_a_labels() -> None:
    assert display_form("a.example") == "a.example"
    assert display_form("xn--bcher-kva.example") == "bücher.example (xn--bcher-kva.example)"
    assert display_form("*.xn--bcher-kva.example") == "*.bücher.example (*.xn--bcher-kva.example)"


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("gateway", "gateway"),
        ("*.gateway", "gateway"),
        ("gw.local", "local"),
        ("gw.localhost", "localhost"),
        ("gw.corp.internal", "internal"),
        ("fritz.home.arpa", "home.arpa"),
        ("gw.invalid", "invalid"),
        ("gw.example.com", ""),
        ("gw.example", ""),
        ("gw.test", ""),
        ("local.example.com", ""),
    ],
)
def test_private_zones_are_known(name: str, zone: str) -> None:
    assert private_zone(name) == zone


@pytest.mark.parametrize("written", ["boston", "HQ-1", "a.b_c", "0", "a" * 63])
def test_safe_names_are_accepted(written: str) -> None:
    assert safe_name(written) == written


@pytest.mark.parametrize("written", ["a b", "../x", "a..b", ".x", "-x", "a/b", "a" * 64, "ä", ""])
def test_other_names_are_refused(written: str) -> None:
    with pytest.raises(BadValueError, match=r"is not a valid name|is empty"):
        safe_name(written)


@pytest.mark.parametrize(
    ("written", "kept"), [("CN", "cn"), (" cn ", "cn"), ("no", "no"), ("UK", "gb"), ("gb", "gb")]
)
def test_countries_are_two_letters(written: str, kept: str) -> None:
    assert country(written) == region(written) == kept


def test_a_region_may_be_global() -> None:
    assert region("Global") == "global"
    with pytest.raises(BadValueError, match="write a two-letter country code"):
        country("global")


@pytest.mark.parametrize("written", ["China", "chn", ".cn", "c n", "c1", "1", "中国", "europe"])
def test_other_regions_are_refused(written: str) -> None:
    with pytest.raises(BadValueError, match=r"is not a region; write .* such as cn for China"):
        region(written)
    with pytest.raises(BadValueError, match=r"is not a region; write .* such as cn for China"):
        country(written)
