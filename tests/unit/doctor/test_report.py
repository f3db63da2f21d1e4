"""The JSON of a diagnosis, and its page."""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from tests.fakes.doctor_facts import NOW, ROOT, case, machine

from gatecert.doctor import code_reference
from gatecert.doctor.checks import ORDER, run_checks
from gatecert.doctor.facts import Root
from gatecert.doctor.finding import Severity
from gatecert.doctor.report import as_json, count, roots_pem

PAGE = Path(__file__).parents[3] / "docs" / "doctor.md"


def test_json_is_versioned_and_complete() -> None:
    cases = (case(), case(root=None))
    results = run_checks(machine(daemon=None), cases)
    document = json.loads(as_json(results, cases, now=NOW))
    assert (document["schema"], document["time"]) == (1, "2026-11-23T12:00:00Z")
    assert (document["healthy"], document["failures"], document["warnings"]) == (True, 0, 1)
    assert len(document["findings"]) == len(results)
    stopped = next(each for each in document["findings"] if each["code"] == "daemon-stopped")
    assert stopped["check"] == "daemon"
    assert stopped["severity"] == "warning"
    assert stopped["holds_enrolment"] is False
    assert document["roots"] == [
        {"gateway": "vpn", "name": "CN=Root", "sha256": "ff", "trusted_here": True}
    ]


def test_every_field_is_described() -> None:
    cases = (case(),)
    document = json.loads(as_json(run_checks(machine(), cases), cases, now=NOW))
    page = PAGE.read_text("utf-8")
    for fields in (document, document["findings"][0], document["roots"][0]):
        assert all(f"`{field}`" in page for field in fields)


def test_failure_is_not_healthy() -> None:
    results = run_checks(machine(), (case(live=None),))
    assert count(results)[Severity.FAILURE] == 1
    assert json.loads(as_json(results, (), now=NOW))["healthy"] is False


def test_each_root_is_exported_once() -> None:
    assert roots_pem((case(), case(), case(root=None), case(root=Root("CN=Far")))) == (
        ROOT.public_bytes(Encoding.PEM)
    )
    assert roots_pem(()) == b""


def test_the_page_lists_every_code() -> None:
    page = code_reference.text()
    assert all(f"| `{code.name}` |" in page for check in ORDER for code in check.codes)
    assert "| yes, for 1 day |" in page
    assert "| yes, for 30 seconds |" in page
