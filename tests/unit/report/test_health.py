"""``gatecert status --check``."""

from __future__ import annotations

from tests.fakes.gateway_statuses import EVERY_STATE, NOW

from gatecert.report.health import HealthLevel, health_problems, health_summary

BY_NAME = {one.name: one for one in EVERY_STATE}


def wrong(level: HealthLevel) -> dict[str, str]:
    problems = health_problems(EVERY_STATE, 4711, level, NOW)
    return dict(problem.split(": ", 1) for problem in problems)


def test_serving_demands_a_certificate_that_has_not_expired() -> None:
    assert wrong(HealthLevel.SERVING) == {
        "late": "certificate expired",
        "void": "no certificate yet",
    }


def test_trusted_demands_that_automatic_gateways_serve_a_trusted_one() -> None:
    found = wrong(HealthLevel.TRUSTED)
    assert BY_NAME.keys() - found.keys() == {"boston", "lyon", "hq", "lab", "beijing"}
    assert found["private"].startswith("private-root: serves its certificate from a private CA")
    assert found["oslo"] == "not-served: 127.0.0.1:443 serves the certificate old.example.com"
    assert found["fresh"] == "unproven: certificate installed, not yet proven by a TLS handshake"


def test_the_daemon_must_run() -> None:
    for level in HealthLevel:
        assert health_problems([BY_NAME["boston"]], None, level, NOW) == ["daemon not running"]
        assert health_problems([BY_NAME["boston"]], 1, level, NOW) == []


def test_the_summary_tells_the_first_expiry() -> None:
    assert health_summary([BY_NAME["boston"], BY_NAME["lab"]]) == (
        "2 of 2 gateways trusted and served, the first certificate expires 2027-01-28"
    )
    assert health_summary([]) == "0 of 0 gateways trusted and served"
