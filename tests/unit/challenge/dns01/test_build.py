"""Which solvers there are, as the configuration has it, and that they cost nothing unused."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatecert.challenge.dns01.build import build_provider
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
def test_there_is_a_solver_for_each_kind_that_is_set_up(
    journal: Journal, challenges: dict[str, object], kinds: set[str]
) -> None:
    found = dns_solvers(settings(**challenges), ResolverSettings(), journal, lambda: NOW)

    assert found.keys() == kinds


def test_both_kinds_of_published_record_have_one_solver(journal: Journal) -> None:
    found = dns_solvers(settings(**{"dns-01": EXEC}), ResolverSettings(), journal, lambda: NOW)

    assert found["dns-01"] is found["dns-account-01"]


@pytest.mark.parametrize(
    ("name", "module"),
    [("rfc2136", "rfc2136"), ("exec", "exec_provider"), ("cloudflare", "lexicon")],
)
def test_each_provider_is_made_by_its_name(name: str, module: str) -> None:
    made = build_provider(
        Dns01Settings.model_validate({"provider": name}), Zones([], timedelta(seconds=1))
    )

    assert type(made).__module__ == f"gatecert.challenge.dns01.{module}"


@pytest.mark.enable_socket
def test_a_challenge_is_answered_from_settings_alone(
    journal: Journal, nameserver: StartNameserver, make_zones: type[Answers], tmp_path: Path
) -> None:
    told = tmp_path / "told"
    server = nameserver(make_zones(["example.com"], {("vpn.example.com", "A"): ["127.0.0.1"]}))
    dns_01 = {
        "provider": "exec",
        "command": ["/bin/sh", "-c", f'echo "$@" >> {told}', "sh"],
        "authoritative": [str(server)],
    }
    resolver = ResolverSettings.model_validate({"nameservers": [str(server)]})
    solver = dns_solvers(settings(**{"dns-01": dns_01}), resolver, journal, lambda: NOW)["dns-01"]
    challenge = Challenge("dns-01", NAME, "token", "token.thumbprint")

    solver.present(challenge)
    solver.clean_up(challenge)

    assert [line.split()[:2] for line in told.read_text("ascii").splitlines()] == [
        ["present", "_acme-challenge.vpn.example.com"],
        ["clean-up", "_acme-challenge.vpn.example.com"],
    ]


def test_a_standing_record_is_looked_for_from_settings_alone(journal: Journal) -> None:
    solver = dns_solvers(
        settings(**{"dns-persist-01": {}}), ResolverSettings(), journal, lambda: NOW
    )["dns-persist-01"]

    with pytest.raises(ChallengeError, match="is invalid: it contains 0 issuer"):
        solver.present(Challenge("dns-persist-01", NAME, "", ""))


def test_what_was_left_behind_is_withdrawn_and_nothing_else(
    journal: Journal, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    dns_01 = {**EXEC, "command": ["/bin/sh", "-c", f'echo "$1 $2" >> {told}', "sh"]}
    solver = dns_solvers(settings(**{"dns-01": dns_01}), ResolverSettings(), journal, lambda: NOW)[
        "dns-01"
    ]
    left, kept = (
        journal.add_record(TextRecord(f"{name}.example.com", "v", "example.com"), now=NOW)
        for name in ("left", "kept")
    )
    assert isinstance(solver, LeftoverCleaner)
    solver.remove_leftovers()
    assert not told.exists()

    journal.abandon_record(left)
    solver.remove_leftovers()

    assert told.read_text("ascii") == "clean-up left.example.com\n"
    assert journal.records() == (kept,)


def test_a_journal_that_cannot_be_read_is_said_in_the_log(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    journal.broken["records"] = StorageError("disk gone")
    solver = dns_solvers(settings(**{"dns-01": EXEC}), ResolverSettings(), journal, lambda: NOW)[
        "dns-01"
    ]

    assert isinstance(solver, LeftoverCleaner)
    solver.remove_leftovers()

    assert "disk gone" in caplog.text


def test_nothing_of_it_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys; from gatecert.challenge.solvers import build_solvers;"
        "print([name for name in ('dns', 'lexicon', 'requests') if name in sys.modules])"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30
    )

    assert ran.stdout.strip() == "[]"
