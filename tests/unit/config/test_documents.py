"""Tests: the generated documents are current, and the example lists every key."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from gatecert.config import json_schema
from gatecert.config.keys import ITEM, NAME, Key, defaults, group_at, keys
from gatecert.config.load import load
from gatecert.config.schema import (
    Configuration,
    CopySettings,
    GatewaySettings,
    KeySettings,
    TsigSettings,
)
from gatecert.config.targets import targets

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "config.example.yaml"
ALL_KEYS = list(keys())


def spoken(key: Key) -> str:
    return ".".join(key.path)


def test_the_json_schema_uses_the_operators_syntax() -> None:
    schema = json.loads(json_schema.text())
    definitions = schema["$defs"]
    gateway = definitions["GatewaySettings"]["properties"]
    assert "name" not in gateway
    assert "name" in definitions["TsigSettings"]["properties"]
    assert definitions["ResolverSettings"]["properties"]["interval"]["default"] == "30s"
    assert definitions["CopySettings"]["properties"]["mode"]["default"] == "0600"
    assert gateway["challenge"]["default"] == "auto"
    assert "required" not in schema
    assert definitions["GatewaySettings"]["required"] == ["hostname"]
    assert "required" not in definitions["SharedGatewaySettings"]
    assert "copy_to" not in definitions["SharedInstallSettings"]["properties"]
    assert schema["properties"]["gateways"]["additionalProperties"] is False
    assert "default" not in schema["properties"]["state_directory"]
    groups = [schema, *definitions.values()]
    assert all(group["additionalProperties"] is False for group in groups)


def test_the_patterns_for_editors_agree_with_the_parsers() -> None:
    definitions = json.loads(json_schema.text())["$defs"]
    duration = definitions["ResolverSettings"]["properties"]["interval"]["pattern"]
    assert all(re.search(duration, text) for text in ("30s", "1h30m", "250ms", "1m5ms"))
    assert not any(re.search(duration, text) for text in ("30", "", "s", "1m1h", "30 s"))
    mode = definitions["CopySettings"]["properties"]["mode"]["pattern"]
    assert re.search(mode, "0640")
    assert not re.search(mode, "rw-r-----")


@pytest.mark.parametrize("key", ALL_KEYS, ids=spoken)
def test_every_key_is_described(key: Key) -> None:
    description = key.field.description or ""
    assert description.endswith(".")
    assert description.isprintable()


@pytest.mark.parametrize("key", ALL_KEYS, ids=spoken)
def test_the_example_shows_every_key(key: Key) -> None:
    assert _shows(yaml.safe_load(_with_everything_switched_on()), key.path)


def test_the_example_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    (target,) = targets(load(EXAMPLE))
    assert target.name == "boston"
    assert target.authorities == ("letsencrypt",)
    assert target.install.reload
    assert target.install.verify


def test_the_example_is_valid_with_everything_enabled(tmp_path: Path) -> None:
    """Check the models alone: alternatives in the example contradict each other."""
    written = tmp_path / "config.yaml"
    written.write_text(_with_everything_switched_on(), encoding="utf-8")
    loaded = Configuration.model_validate(yaml.safe_load(written.read_text(encoding="utf-8")))
    assert list(loaded.gateways) == ["boston", "headquarters"]


def test_the_defaults_in_the_example_are_right() -> None:
    shown = yaml.safe_load(_with_everything_switched_on())
    least = Configuration.model_validate({"gateways": {}})
    assert str(least.state_directory) == shown["state_directory"]
    assert list(least.excluded_regions) == shown["excluded_regions"]
    gateway = shown["gateways"]["boston"]
    assert gateway["mode"] == defaults(GatewaySettings)["mode"]
    assert gateway["key"] == {**defaults(KeySettings), "second": "rsa-2048"}
    assert shown["challenges"]["http-01"]["listen"] == [
        str(endpoint) for endpoint in least.challenges.http_01.listen
    ]


def test_the_example_fits_the_line_length() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 100


def test_groups_are_found_by_location() -> None:
    assert group_at(()) is Configuration
    assert group_at(("gateways", "x")) is GatewaySettings
    assert group_at(("gateways", "x", "install", "copy_to", 3)) is CopySettings
    assert group_at(("challenges", "dns-01", "tsig")) is TsigSettings
    assert group_at(("gateways",)) is None
    assert group_at(("gateways", "x", "hostname")) is None
    assert group_at(("nowhere", "x")) is None


def _with_everything_switched_on() -> str:
    """Return the example without the ``#`` right before keys; prose has a space after it."""
    text = EXAMPLE.read_text(encoding="utf-8")
    return re.sub(r"^( *)#(?=\S)", r"\1", text, flags=re.MULTILINE)


def _shows(written: object, path: tuple[str, ...]) -> bool:
    """Check whether a key is written somewhere."""
    if not path:
        return True
    first, *rest = path
    if first == NAME:
        return isinstance(written, dict) and any(
            _shows(value, tuple(rest)) for value in written.values()
        )
    if first == ITEM:
        return isinstance(written, list) and any(_shows(value, tuple(rest)) for value in written)
    return isinstance(written, dict) and first in written and _shows(written[first], tuple(rest))
