"""The bill of materials lists what the package contains, and nothing else."""

from __future__ import annotations

import json
import subprocess
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any

import pytest
from packaging.utils import canonicalize_name

from .conftest import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(error and repr(error))
"""


@pytest.fixture
def text(tree: Path) -> str:
    """The bill of materials."""
    return (tree / "usr/share/doc/gatecert/gatecert.cdx.json").read_text("utf-8")


@pytest.fixture
def bill(text: str) -> dict[str, Any]:
    """The content of the bill of materials."""
    content: dict[str, Any] = json.loads(text)
    return content


def test_it_is_valid_by_the_schema(text: str) -> None:
    python = PROJECT / ".cache/supply/bin/python"
    for document, is_valid in ((text, True), (text.replace('"SHA-256"', '"SHA-257"'), False)):
        checked = subprocess.run(
            [python, "-c", VALIDATE], input=document, capture_output=True, text=True, check=False
        )
        assert (checked.returncode == 0) is is_valid, checked.stderr


def test_it_lies_beside_the_package(package: Path, text: str) -> None:
    assert package.with_suffix(".cdx.json").read_text("utf-8") == text


def test_it_lists_every_installed_distribution_and_nothing_else(
    tree: Path, bill: dict[str, Any]
) -> None:
    files = sorted((tree / "usr/lib/gatecert/python").glob("*.dist-info/METADATA"))
    metadata = [HeaderParser().parsestr(path.read_text("utf-8")) for path in files]
    installed = [(canonicalize_name(each["Name"]), each["Version"]) for each in metadata]

    components = [bill["metadata"]["component"], *bill["components"]]

    assert sorted((each["name"], each["version"]) for each in components) == sorted(installed)


def test_gatecert_needs_every_package(bill: dict[str, Any]) -> None:
    needs = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    reached: set[str] = set()
    waiting = [bill["metadata"]["component"]["bom-ref"]]
    while waiting:
        reached.add(one := waiting.pop())
        waiting += [other for other in needs[one] if other not in reached]
    assert reached == set(needs)
    assert len(needs) == len(bill["components"]) + 1
