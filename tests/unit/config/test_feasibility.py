"""Valid settings that cannot work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.config.feasibility import findings
from gatecert.config.include import read
from gatecert.config.load import validate

if TYPE_CHECKING:
    from pathlib import Path

USED = "  vpn: {hostname: vpn.company.com"
PRIVATE = "https://ca.internal/directory"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def found(
    file: Path, gateway: str = "", *, authority: str = "letsencrypt", more: str = ""
) -> list[str]:
    """Return what cannot work, with lines that count from the authority's."""
    file.write_text(
        f"authorities: {{ca: {{directory_url: {authority}{more}}}}}\n"
        f"gateways:\n{USED}{gateway}}}\n",
        "utf-8",
    )
    document = read(file)
    configuration = validate(document, check_files=False)
    problems = document.all_problems(findings(configuration, document.plain()))
    return [str(each).removeprefix(f"{file}:") for each in problems]


def test_a_usual_gateway_can_work(file: Path) -> None:
    assert found(file, ", addresses: [8.8.8.8], region: de", more=", contact: [a@b.com]") == []


# --------------------------------------------------------------------- regions


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("UK", "UK is not a country code of ISO 3166; write GB"),
        (" uk ", "UK is not a country code of ISO 3166; write GB"),
        ("EU", "EU is not a country; write the code of one, such as DE or FR"),
        ("xx", "XX is not a country code of ISO 3166; write one, such as DE for Germany"),
        ("zh", "ZH is not a country code of ISO 3166; write CN"),
    ],
)
def test_a_region_is_a_country(file: Path, code: str, what: str) -> None:
    assert found(file, f", region: '{code}'") == [f"3: gateways.vpn.region: {what}"]


@pytest.mark.parametrize("code", ["GB", "cn", "no", "global", "Global", "tw", "xk"])
def test_countries_and_global_are_regions(file: Path, code: str) -> None:
    assert (found(file, f", region: {code}") == []) is (code != "xk")


def test_excluded_regions_and_shared_ones_are_countries_too(file: Path) -> None:
    file.write_text(
        "excluded_regions: [cn, uk]\ndefaults: {region: eu}\n"
        "gateways:\n  vpn: {hostname: vpn.company.com, mode: custom}\n",
        "utf-8",
    )
    document = read(file)
    configuration = validate(document, check_files=False)

    places = [each.location for each in findings(configuration, document.plain())]

    assert places == [("excluded_regions", 1), ("defaults", "region")]


@pytest.mark.parametrize(("code", "fits"), [("GB", True), ("XX", True), ("UK", False)])
def test_the_country_of_a_subject_is_a_country(file: Path, code: str, *, fits: bool) -> None:
    what = "3: gateways.vpn.subject.C: UK is not a country code of ISO 3166; write GB"

    assert found(file, f", mode: custom, subject: {{C: {code}}}") == ([] if fits else [what])


# --------------------------------------------------------------------- contacts


@pytest.mark.parametrize(
    "address", ["ops@example.com", "ops@sub.example", "ops@example.net", "ops@mail.test"]
)
@pytest.mark.parametrize("authority", ["letsencrypt", "letsencrypt-staging", "zerossl"])
def test_an_example_is_no_contact_for_a_public_ca(file: Path, address: str, authority: str) -> None:
    (problem,) = found(file, authority=authority, more=f", contact: [a@b.com, {address}]")

    assert problem.startswith("1: authorities.ca.contact[1]: ")
    assert f"{address} is an example, which public CAs refuse; write your mail address" in problem


def test_a_private_ca_may_know_examples(file: Path) -> None:
    assert found(file, authority=PRIVATE, more=", contact: [ops@example.com]") == []


@pytest.mark.parametrize("gateway", [", mode: custom", ", region: cn"])
def test_a_ca_that_no_gateway_uses_is_not_checked(file: Path, gateway: str) -> None:
    assert found(file, gateway, more=", contact: [ops@example.com]") == []


# --------------------------------------------------------------------- number of names


def names(count: int) -> str:
    return (
        f", alternative_names: [{', '.join(f'n{number}.company.com' for number in range(count))}]"
    )


@pytest.mark.parametrize(
    ("more", "most"),
    [
        ("", 100),
        (", profile: classic", 100),
        (", profile: shortlived", 25),
        (", profile: tlsserver", 25),
        (", profile: {preferred: shortlived}", 100),
    ],
)
def test_a_certificate_has_a_limited_number_of_names(file: Path, more: str, most: int) -> None:
    assert found(file, names(most - 1), more=more) == []

    (problem,) = found(file, names(most), more=more)

    assert problem.startswith("3: gateways.vpn.alternative_names: ")
    assert f"would have {most + 1} names, and ca allows at most {most}" in problem


def test_other_cas_have_other_limits(file: Path) -> None:
    assert found(file, names(200), authority=PRIVATE) == []
    assert found(file, names(200) + ", mode: custom") == []
    (problem,) = found(file, names(100), authority="zerossl", more=", profile: shortlived")
    assert "at most 100" in problem


# --------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.1.1", "'fd00::1'", "127.0.0.1"]
)
def test_a_public_ca_cannot_reach_a_private_address(file: Path, address: str) -> None:
    (problem,) = found(file, f", addresses: [{address}]")

    assert problem.startswith("3: gateways.vpn.addresses[0]: ")
    assert "is a private address, which ca cannot reach for http-01" in problem
    assert problem.endswith("write the public address that the hostname has, or use dns-01")


@pytest.mark.parametrize("addresses", ["[10.1.2.3, 8.8.8.8]", "['2001:db8::1']", "[]"])
def test_one_public_address_is_enough(file: Path, addresses: str) -> None:
    assert found(file, f", addresses: {addresses}") == []


def test_a_private_ca_may_reach_private_addresses(file: Path) -> None:
    assert found(file, ", addresses: [10.1.2.3]", authority=PRIVATE) == []


def test_dns_01_needs_no_address(file: Path) -> None:
    file.write_text(
        "challenges: {dns-01: {provider: exec, command: [sh]}}\n"
        "authorities: {letsencrypt: {}}\n"
        f"gateways:\n{USED}, addresses: [10.1.2.3]}}\n",
        "utf-8",
    )
    document = read(file)
    configuration = validate(document, check_files=False)

    assert list(findings(configuration, document.plain())) == []


def test_one_ca_that_can_issue_is_enough(file: Path) -> None:
    file.write_text(
        f"authorities: {{letsencrypt: {{}}, own: {{directory_url: '{PRIVATE}'}}}}\n"
        f"gateways:\n{USED}, addresses: [10.1.2.3]{names(120)}}}\n",
        "utf-8",
    )
    document = read(file)
    configuration = validate(document, check_files=False)

    assert list(findings(configuration, document.plain())) == []
