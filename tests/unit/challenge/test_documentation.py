"""Examples and links of docs/challenges.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gatecert.config.schema import Configuration

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "challenges.md").read_text("utf-8")
EXAMPLES = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
RECIPES = sorted((DOCS / "challenges").iterdir())


def load(example: dict[str, Any]) -> Configuration:
    """Complete an example to a configuration."""
    given: dict[str, Any] = next(iter(example.get("gateways", {}).values()), {})
    gateway = {"name": "boston", "hostname": "vpn.example.com", **given}
    return Configuration.model_validate({**example, "gateways": {"boston": gateway}})


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_example_is_a_valid_configuration(example: dict[str, Any]) -> None:
    assert load(example).gateways


def test_every_link_has_a_target() -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE)
    assert links
    assert [link for link in links if not (DOCS / link).is_file()] == []


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_recipe_is_linked_and_contains_valid_settings(recipe: Path) -> None:
    assert f"(challenges/{recipe.name})" in PAGE
    (line,) = re.findall(r"^#\s+gatecert:\s+(.*)$", recipe.read_text("utf-8"), re.MULTILINE)
    example = yaml.safe_load(line)
    assert load(example).gateways
    assert example in EXAMPLES
