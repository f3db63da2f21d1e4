"""Examples of docs/dns.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from gatecert.challenge.dns01 import exec_provider
from gatecert.challenge.dns01.persist_record import ExpectedRecord
from gatecert.config.schema import Configuration

TEXT = (Path(__file__).parents[4] / "docs/dns.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_valid_configuration(example: str) -> None:
    configuration = Configuration.model_validate(yaml.safe_load(example))

    assert configuration.gateways["boston"].challenge


def test_there_is_an_example_for_every_provider() -> None:
    assert len(EXAMPLES) == 6


def test_the_environment_of_the_command_is_documented() -> None:
    assert set(re.findall(r"GATECERT_[A-Z]+", TEXT)) == set(
        re.findall(r"GATECERT_[A-Z]+", exec_provider.__doc__ or "")
    )


def test_the_persist_record_is_documented() -> None:
    record = ExpectedRecord("vpn.example.com", ("ca.example",), "https://ca.example/acct/1")

    assert record.zone_line() in TEXT
