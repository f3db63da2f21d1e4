"""packaging/monitoring/gatecert.rules.yml: its metrics exist, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gatecert.monitoring import metric_families

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "packaging/monitoring"
PACKAGED = "file:///usr/share/doc/gatecert/"
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
METRIC = re.compile(r"\bgatecert_\w+\b")
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((FOLDER / "gatecert.rules.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
TESTS = [
    case
    for path in FOLDER.glob("*.test.yml")
    for test in yaml.safe_load(path.read_text("utf-8"))["tests"]
    for case in test["alert_rule_test"]
]


def anchor(heading: str) -> str:
    """Return the anchor of a heading, as GitHub and the site make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def names(rules: list[dict[str, Any]]) -> list[str]:
    return [rule["alert"] for rule in rules]


@pytest.mark.parametrize("rule", RULES, ids=names(RULES))
def test_the_link_leads_to_a_heading(rule: dict[str, Any]) -> None:
    link: str = rule["annotations"]["runbook_url"]
    path, _, fragment = link.removeprefix(PACKAGED).partition("#")
    assert link.startswith(PACKAGED)
    headings = HEADING.findall((ROOT / path).read_text("utf-8"))
    assert fragment in {anchor(heading) for heading in headings}


@pytest.mark.parametrize("rule", RULES, ids=names(RULES))
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["alert"].startswith("Gatecert")
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}


@pytest.mark.parametrize("rule", RULES, ids=names(RULES))
def test_gatecert_has_the_metrics(rule: dict[str, Any]) -> None:
    known = {
        family.name
        for family in vars(metric_families).values()
        if isinstance(family, metric_families.Family)
    } | {family.name for family in metric_families.GATEWAY_FAMILIES.values()}
    assert set(METRIC.findall(rule["expr"])) <= known


@pytest.mark.parametrize("name", names(RULES))
def test_an_alert_is_tested_to_fire_not_too_early_and_to_end(name: str) -> None:
    fires = [bool(case.get("exp_alerts")) for case in TESTS if case["alertname"] == name]
    assert True in fires
    assert fires[0] is False or name == "GatecertCertificateEnded"
    assert fires[-1] is False


def test_the_page_explains_every_alert_in_the_order_of_the_rules() -> None:
    page = (ROOT / "docs/monitoring.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| .* \| \[\S+\]\((\S+)\) \|$", page, re.MULTILINE)
    assert rows == [
        (
            rule["alert"],
            rule["labels"]["severity"],
            rule["annotations"]["runbook_url"].rpartition("/")[2].removeprefix("monitoring.md"),
        )
        for rule in RULES
    ]
