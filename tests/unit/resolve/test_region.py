from __future__ import annotations

import pytest

from gatecert.model import Identifier, IdentifierType, Target
from gatecert.resolve.region import excluded_region, exclusion_reason


def target(*names: str, region: str = "") -> Target:
    identifiers = tuple(Identifier(IdentifierType.DNS, name) for name in names)
    return Target("boston", identifiers, names[0], region=region)


@pytest.mark.parametrize(
    "name",
    [
        *("boston.example.cn", "BOSTON.EXAMPLE.CN", "boston.example.cn.", "*.example.com.cn"),
        *("boston.例子.中国", "boston.例子.中國", "boston。例子。中国", "cn"),
        *("boston.xn--fsqu00a.xn--fiqs8s", "boston.xn--fsqu00a.XN--FIQZ9S"),
    ],
)
@pytest.mark.parametrize("region", ["", "global", "cn"])
def test_a_name_below_the_country_domain_is_excluded_whatever_is_configured(
    name: str, region: str
) -> None:
    assert excluded_region(target(name, region=region), ["cn"]) == "cn"


def test_one_of_the_names_excludes_the_gateway() -> None:
    assert excluded_region(target("boston.example.com", "boston.example.cn"), ["cn"]) == "cn"


@pytest.mark.parametrize("written", ["cn", "CN", " .cn "])
def test_region_codes_ignore_case(written: str) -> None:
    assert excluded_region(target("boston.example.com", region="CN"), [written]) == "cn"


@pytest.mark.parametrize(
    "name",
    ["boston.example.com", "cn.example.com", "boston.xcn", "cn-boston.example.hk", "boston.co"],
)
@pytest.mark.parametrize("region", ["", "global", "us"])
def test_other_names_and_regions_are_enrolled(name: str, region: str) -> None:
    assert excluded_region(target(name, region=region), ["cn", "ru", ""]) == ""


def test_an_empty_list_excludes_nothing() -> None:
    assert excluded_region(target("boston.example.cn", region="cn"), []) == ""


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("boston.example.ru", "ru"),
        ("boston.xn--e1afmkfd.xn--p1ai", "ru"),
        ("boston.пример.рф", "ru"),
        ("boston.example.co.uk", "gb"),
        ("boston.example.ir", "ir"),
        ("boston.example.cn", "cn"),
    ],
)
def test_other_regions_can_be_excluded(name: str, region: str) -> None:
    assert excluded_region(target(name), ["ir", "gb", "ru", "cn"]) == region


def test_an_ip_address_is_in_no_region() -> None:
    address = Identifier(IdentifierType.IP, "203.0.113.7")
    assert excluded_region(Target("boston", (address,), "203.0.113.7"), ["7", "cn"]) == ""


def test_the_reason_names_the_hostname_and_the_remedy() -> None:
    assert exclusion_reason(
        "cn", target("boston.example.com", "boston.例子.中国", region="cn")
    ) == (
        "boston.例子.中国 is below .中国, and region cn is never enrolled; the gateway keeps its "
        "self-signed certificate. For a trusted certificate set mode: custom, then run "
        "gatecert csr boston and gatecert import boston"
    )


def test_the_reason_names_the_configured_region() -> None:
    text = exclusion_reason("cn", target("boston.example.com", region="cn"))
    assert text.startswith("region cn is configured for this gateway and is never enrolled; ")
