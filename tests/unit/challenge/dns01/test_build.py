"""Solvers for the configured dns-* challenge types, built at the first use."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatecert.challenge.dns01.build import build_provider, known_zone
from gatecert.challenge.dns01.zones import Zones
from gatecert.challenge.solver import Challenge, LeftoverCleaner
from gatecert.challenge.solvers import dns_solvers
from gatecert.config.schema import ChallengeSettings, Dns01Settings, ResolverSettings
from gatecert.errors import ChallengeError, StorageError
from gatecert.model import Identifier, IdentifierType, TextRecord

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.nameserver import StartNameserver
    from tests.fakes.record_journal import Journal
    from tests.fakes.zones import Zones as Answers

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
EXEC = {"provider": "exec", "command": ["true"], "authoritative": ["127.0.0.1:1"]}
NAME = Identifier(IdentifierType.DNS, "vpn.example.com")


def settings(**challenges: object) -> ChallengeSettings:
    return ChallengeSettings.model_validate(challenges)


@pytest.mark.parametrize(
    ("challenges", "kinds"),
    [
        ({}, set()),
        ({"dns-01": EXEC}, {"dns-01", "dns-account-01"}),
        ({"dns-persist-01": {}}, {"dns-persist-01"}),
    ],
)
def test_there_is_a_solver_for_each_configured_type(
    journal: Journal, challenges: dict[str, object], kinds: set[str]
) -> None:
    found = dns_solvers(settings(**challenges), ResolverSettings(), journal, lambda: NOW)

    assert found.keys() == kinds


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ({"provider": "duckdns"}, "duckdns.org"),
        ({"provider": "DuckDNS", "zone": "boston.duckdns.org"}, "duckdns.org"),
        ({"provider": "desec"}, None),
        ({"provider": "rfc2136", "zone": "example.com"}, "example.com"),
    ],
)
def test_the_zone_of_duckdns_is_known(written: dict[str, object], zone: str | None) -> None:
    assert known_zone(Dns01Settings.model_validate(written)) == zone


def test_dns_01_and_dns_account_01_share_a_solver(journal: Journal) -> None:
    found = dns_solvers(settings(**{"dns-01": EXEC}), ResolverSettings(), journal, lambda: NOW)

    assert found["dns-01"] is found["dns-account-01"]


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("rfc2136", "rfc2136_provider"),
        ("exec", "exec_provider"),
        ("cloudflare", "lexicon_provider"),
    ],
)
def test_each_provider_is_built_by_its_name(name: str, module: str) -> None:
    made = build_provider(
        Dns01Settings.model_validate({"provider": name}), Zones([], timedelta(seconds=1))
    )

    assert type(made).__module__ == f"gatecert.challenge.dns01.{module}"


@pytest.mark.enable_socket
def test_a_challenge_is_answered_from_the_settings(
    journal: Journal, nameserver: StartNameserver, make_zones: type[Answers], tmp_path: Path
) -> None:
    called = tmp_path / "called"
    server = nameserver(make_zones(["example.com"], {("vpn.example.com", "A"): ["127.0.0.1"]}))
    dns_01 = {
        "provider": "exec",
        "command": ["/bin/sh", "-c", f'echo "$@" >> {called}', "sh"],
        "authoritative": [str(server)],
    }
    resolver = ResolverSettings.model_validate({"nameservers": [str(server)]})
    solver = dns_solvers(settings(**{"dns-01": dns_01}), resolver, journal, lambda: NOW)["dns-01"]
    challenge = Challenge("dns-01", NAME, "token", "token.thumbprint")

    solver.present(challenge)
    solver.clean_up(challenge)

    assert [line.split()[:2] for line in called.read_text("ascii").splitlines()] == [
        ["present", "_acme-challenge.vpn.example.com"],
        ["clean-up", "_acme-challenge.vpn.example.com"],
    ]


def test_a_persist_challenge_is_checked_from_the_settings(journal: Journal) -> None:
    solver = dns_solvers(
        settings(**{"dns-persist-01": {}}), ResolverSettings(), journal, lambda: NOW
    )["dns-persist-01"]

    with pytest.raises(ChallengeError, match="is invalid: it contains 0 issuer"):
        solver.present(Challenge("dns-persist-01", NAME, "", ""))


def test_only_leftover_records_are_withdrawn(journal: Journal, tmp_path: Path) -> None:
    called = tmp_path / "called"
    dns_01 = {**EXEC, "command": ["/bin/sh", "-c", f'echo "$1 $2" >> {called}', "sh"]}
    solver = dns_solvers(settings(**{"dns-01": dns_01}), ResolverSettings(), journal, lambda: NOW)[
        "dns-01"
    ]
    left, kept = (
        journal.add_record(TextRecord(f"{name}.example.com", "v", "example.com"), now=NOW)
        for name in ("left", "kept")
    )
    assert isinstance(solver, LeftoverCleaner)
    solver.remove_leftovers()
    assert not called.exists()

    journal.abandon_record(left)
    solver.remove_leftovers()

    assert called.read_text("ascii") == "clean-up left.example.com\n"
    assert journal.records() == (kept,)


def test_an_unreadable_journal_is_logged(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    journal.broken["records"] = StorageError("disk gone")
    solver = dns_solvers(settings(**{"dns-01": EXEC}), ResolverSettings(), journal, lambda: NOW)[
        "dns-01"
    ]

    assert isinstance(solver, LeftoverCleaner)
    solver.remove_leftovers()

    assert "disk gone" in caplog.text


def test_dnspython_is_not_imported_before_the_first_use() -> None:
    code = (
        "import sys; from gatecert.challenge.solvers import build_solvers;"
        "print([name for name in ('dns', 'lexicon', 'requests') if name in sys.modules])"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30
    )

    assert ran.stdout.strip() == "[]"
