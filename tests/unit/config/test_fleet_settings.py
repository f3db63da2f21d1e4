"""The section ``fleet``: what may be written, and what becomes of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from tests.fakes.fleet_files import FleetFiles

from gatecert.config.effective_settings import effective_settings
from gatecert.config.fleet_host import fleet_host
from gatecert.config.include import read
from gatecert.config.load import load, validate
from gatecert.errors import ConfigurationError
from gatecert.model.fleet import DatabaseLogin, FleetHost

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.config.schema import FleetSettings

NAMELESS = x509.Name([])


@pytest.fixture
def written(tmp_path: Path) -> FleetFiles:
    return FleetFiles(tmp_path / "etc")


def settings(written: FleetFiles) -> FleetSettings:
    fleet = load(written.configuration()).fleet
    assert fleet is not None
    return fleet


def complaints(written: FleetFiles) -> list[str]:
    path = written.configuration()
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert all(problem.where.startswith(f"{path}:") for problem in caught.value.problems)
    return [f"{problem.key}: {problem.what}" for problem in caught.value.problems]


def changed(section: dict[str, Any], key: str, value: object) -> None:
    """Set a key, or remove it for None."""
    *groups, last = key.split(".")
    for group in groups:
        section = section[group]
    section[last] = value
    if value is None:
        del section[last]


def test_a_host_has_its_place_in_the_fleet(written: FleetFiles) -> None:
    directory = written.directory
    assert fleet_host(settings(written)) == FleetHost(
        database=DatabaseLogin(
            hosts=(("db1.example.com", 5432), ("db2.example.com", 6432)),
            name="gatecert",
            user="gw-a",
            certificate=directory / "gw-a.pem",
            key=directory / "gw-a-key.pem",
            ca_bundle=directory / "database-ca.pem",
        ),
        cluster="hq",
        host="gw-a",
        ring=1,
        sealing_keys=(directory / "seal-2026", directory / "seal-2025"),
        reserve=1,
    )


def test_every_key_may_be_set(
    written: FleetFiles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(written.directory))
    for key, value in {
        "database.hosts": ["[2001:db8::7]:5433"],
        "database.name": "certificates",
        "database.user": "hq_gw_a",
        "database.key": "credential:gw-a-key.pem",
        "sealing_keys": ["credential:seal-2026"],
        "ring": 2,
        "reserve": 0,
    }.items():
        changed(written.section, key, value)
    host = fleet_host(settings(written))
    assert host.database.hosts == (("2001:db8::7", 5433),)
    assert (host.database.name, host.database.user) == ("certificates", "hq_gw_a")
    assert (host.ring, host.reserve) == (2, 0)
    assert host.database.key == written.directory / "gw-a-key.pem"
    assert host.sealing_keys == (written.directory / "seal-2026",)
    assert tmp_path in host.database.key.parents


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("database", None, "fleet.database: is missing: The database that all hosts share"),
        ("cluster", None, "fleet.cluster: is missing"),
        ("host", None, "fleet.host: is missing"),
        ("sealing_keys", None, "fleet.sealing_keys: is missing"),
        ("database.hosts", None, "fleet.database.hosts: is missing"),
        ("database.certificate", None, "fleet.database.certificate: is missing"),
        ("database.key", None, "fleet.database.key: is missing"),
        ("database.ca_bundle", None, "fleet.database.ca_bundle: is missing"),
        ("database.hosts", [], "fleet.database.hosts: is empty; write the servers"),
        ("database.hosts", "db1", "fleet.database.hosts: must be a list"),
        ("database.hosts", ["/run/postgresql"], 'hosts[0]: "/run/postgresql" does not name'),
        ("database.hosts", ["db1", "db1:5432"], "hosts[1]: is the same as number 1 of the list"),
        ("database.password", "S3cr3t", "fleet.database.password: unknown key"),
        ("sealing_keys", [], "fleet.sealing_keys: is empty"),
        ("sealing_keys", ["seal-2026"] * 2, "sealing_keys[1]: is the same as number 1"),
        ("cluster", "a/b", 'fleet.cluster: "a/b" is not a valid name'),
        ("host", "..", 'fleet.host: ".." is not a valid name'),
        ("ring", 0, 'fleet.ring: "0" is not a ring; write 1 (the first) to 100'),
        ("ring", "first", 'fleet.ring: "first" is not a whole number'),
        ("reserve", 2, 'fleet.reserve: "2" orders cannot be reserved; write 0 or 1'),
        ("rings", 1, "fleet.rings: unknown key; did you mean ring?"),
        ("database.key", "missing", "fleet.database.key: names a file that does not exist"),
        ("database.certificate", "seal-2026", "contains no PEM certificate"),
        ("database.ca_bundle", "missing", "fleet.database.ca_bundle: names a file that does"),
        ("sealing_keys", ["missing"], "sealing_keys[0]: names a file that does not exist"),
    ],
)
def test_a_wrong_key_is_reported_with_its_line(
    written: FleetFiles, key: str, value: object, told: str
) -> None:
    changed(written.section, key, value)
    (line,) = complaints(written)
    assert told in line
    assert "S3cr3t" not in line


ISSUING = {
    "authorities": {"letsencrypt": {"directory_url": "letsencrypt"}},
    "challenges": {"dns-01": {"provider": "exec", "command": ["/bin/true"]}},
    "gateways": {},
}


def test_a_host_may_issue_for_gateways_in_the_field_and_have_none(written: FleetFiles) -> None:
    written.others = ISSUING
    written.section["issue"] = {"domains": ["DDNS.example."], "authority": "letsencrypt"}
    issue = settings(written).issue
    assert issue is not None
    assert (issue.domains, issue.authority) == (("ddns.example",), "letsencrypt")


@pytest.mark.parametrize(
    ("issue", "told"),
    [
        ({}, "fleet.issue.domains: is missing"),
        ({"domains": []}, "fleet.issue.domains: is empty; write the domains"),
        ({"domains": ["a.example", "A.example"]}, "domains[1]: is the same as number 1"),
        ({"domains": ["192.0.2.1"]}, "is not the name of a zone"),
        (
            {"domains": ["ddns.example"], "authority": "other"},
            "fleet.issue.authority: is no key of authorities; write one of letsencrypt",
        ),
    ],
)
def test_wrong_orders_for_gateways_in_the_field_are_reported(
    written: FleetFiles, issue: dict[str, Any], told: str
) -> None:
    written.others = ISSUING
    written.section["issue"] = issue
    (line,) = complaints(written)
    assert told in line


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("authorities", "fleet.issue: requires a CA; write one below authorities"),
        ("challenges", "fleet.issue: requires challenges.dns-01"),
    ],
)
def test_orders_for_gateways_in_the_field_need_a_ca_and_dns_01(
    written: FleetFiles, section: str, told: str
) -> None:
    written.others = {name: each for name, each in ISSUING.items() if name != section}
    written.section["issue"] = {"domains": ["ddns.example"]}
    (line,) = complaints(written)
    assert told in line


def test_a_limit_counts_no_longer_than_the_database_keeps_requests(written: FleetFiles) -> None:
    limits = {"orders": "300/35d", "certificates": "50/36d", "duplicates": "off"}
    authority = {"directory_url": "letsencrypt", "limits": limits}
    written.others = {"authorities": {"letsencrypt": authority}}
    (line,) = complaints(written)
    assert line == (
        "authorities.letsencrypt.limits.certificates: 50/36d counts requests for longer than the "
        "database of a fleet keeps them, 35d; write a shorter period"
    )


def test_a_secret_that_others_may_read_is_refused(written: FleetFiles) -> None:
    (written.directory / "seal-2025").chmod(0o644)
    (line,) = complaints(written)
    assert line.startswith("fleet.sealing_keys[1]: names a world-readable")


def test_the_packages_of_the_database_must_be_installed(
    written: FleetFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)  # as if it were not installed
    (line,) = complaints(written)
    assert line.startswith("fleet: needs psycopg")
    assert line.endswith("pip install gatecert[fleet]")


def test_without_a_common_name_the_role_must_be_written(written: FleetFiles) -> None:
    fleet = settings(written)
    nameless = written.pki.issue("gw-a", names=("gw-a.example.com",), subject=NAMELESS)
    written.log_in_by(nameless)
    with pytest.raises(ConfigurationError, match="has no common name; write the role"):
        fleet_host(fleet)
    changed(written.section, "database.user", "gw-a")
    assert fleet_host(settings(written)).database.user == "gw-a"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "no certificate that"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_certificate_that_was_replaced_by_garbage_is_an_error(
    written: FleetFiles, content: bytes | None, told: str
) -> None:
    fleet = settings(written)
    if content is None:
        (written.directory / "gw-a.pem").unlink()
    else:
        written.write("gw-a.pem", content)
    with pytest.raises(ConfigurationError, match=told):
        fleet_host(fleet)


def test_the_settings_are_explained_without_the_paths_of_secrets(written: FleetFiles) -> None:
    document = read(written.configuration())
    fleet = validate(document).fleet
    assert fleet is not None
    shown = {each.key: each.value for each in effective_settings(document, ("fleet",), fleet)}
    assert shown["database.hosts"] == '["db1.example.com:5432", "db2.example.com:6432"]'
    assert shown["database.key"] == shown["sealing_keys"] == "(secret)"
    assert shown["database.name"] == "gatecert"
    assert shown["ring"] == "1"
