"""Examples and tables of docs/dynamic-dns.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from gatecert.config.schema import Configuration
from gatecert.config.update_services import UpdateServiceName
from gatecert.ddns.update_answer import CHANGED, REFUSALS, SERVER_TROUBLE, UNCHANGED
from gatecert.doctor import codes

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "dynamic-dns.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
FILES = sorted((DOCS / "dynamic-dns").iterdir())


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_valid_configuration(example: str) -> None:
    configuration = Configuration.model_validate(yaml.safe_load(example))

    assert configuration.gateways["boston"].ddns


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_configuration_is_linked_and_shown(file: Path) -> None:
    assert f"(dynamic-dns/{file.name})" in TEXT
    assert file.read_text("utf-8") in TEXT


def test_every_answer_of_the_protocol_is_explained() -> None:
    words = set(re.findall(r"`([!\w]+)`", TEXT))
    assert words >= {CHANGED, UNCHANGED, *REFUSALS, *SERVER_TROUBLE}


def test_every_service_is_named() -> None:
    assert set(re.findall(r"`(\w+)`", TEXT)) >= set(UpdateServiceName)


def test_the_codes_are_explained() -> None:
    named = set(re.findall(r"^\| `(ddns-[\w-]+)`", TEXT, re.MULTILINE))
    assert named == {*codes.OF_DDNS, codes.DDNS_PENDING.name} - {codes.DDNS.name}
