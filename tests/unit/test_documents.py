"""Documents that an operator follows are current and true."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from gatecert.config.load import load
from gatecert.config.targets import targets
from gatecert.report.gateway_status import Condition, GatewayStatus

ROOT = Path(__file__).resolve().parents[2]


def test_generated_pages_are_current() -> None:
    command = [sys.executable, str(ROOT / "docs" / "refresh"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_configuration_of_the_first_gateway_is_good(tmp_path: Path) -> None:
    page = ROOT / "docs" / "first-gateway.md"
    (example,) = re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    lines = [line.removeprefix("   ") for line in example.splitlines()]
    path = tmp_path / "config.yaml"
    path.write_text("\n".join(lines), "utf-8")
    (target,) = targets(load(path))
    assert (target.name, target.hostname) == ("boston", "boston-njndubu.dynamic-m.com")
    assert target.install.verify


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("docs/**/*.md")))
def test_links_between_documents_lead_somewhere(name: str) -> None:
    for path in ROOT.glob(f"docs/**/{name}"):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text("utf-8")):
            assert (path.parent / link).exists(), f"{path.relative_to(ROOT)} links to {link}"


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_at_the_top_lead_somewhere(name: str) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text("utf-8")):
        assert (ROOT / link).exists(), link


def test_the_readme_fits_two_screens() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 100


def test_the_index_names_every_page_once() -> None:
    index = ROOT / "docs" / "README.md"
    named = re.findall(r"^- \[[^\]]*\]\(([^)#]+\.md)\)", index.read_text("utf-8"), re.MULTILINE)
    pages = [path for path in ROOT.glob("docs/**/*.md") if path.parent.name != "decisions"]
    top = ("CHANGELOG", "CONTRIBUTING", "ARCHITECTURE", "SECURITY")
    outside = [ROOT / f"{name}.md" for name in top]
    wanted = {index.parent / "decisions/README.md", ROOT / "pebble/README.md", *pages, *outside}
    assert len(named) == len(set(named))
    assert {(index.parent / name).resolve() for name in named} == wanted - {index}


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_modules_that_the_guides_name_exist(name: str) -> None:
    modules = re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.py)`", (ROOT / name).read_text("utf-8"))
    assert modules
    roots = (ROOT, ROOT / "daemon" / "gatecert")
    assert [each for each in modules if not any((root / each).exists() for root in roots)] == []


def test_every_field_and_state_of_the_status_is_described() -> None:
    described = set(re.findall(r"`([a-z_-]+)`", (ROOT / "docs" / "status.md").read_text("utf-8")))
    assert {field.name for field in fields(GatewayStatus)} <= described
    assert {str(condition) for condition in Condition} <= described
