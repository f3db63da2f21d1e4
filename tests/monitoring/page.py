"""The configurations of docs/monitoring.md, as the tests run them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/monitoring.md"
RULES = ROOT / "packaging/monitoring/gatecert.rules.yml"
BLOCK = re.compile(r"^( *)```yaml\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
FOR = re.compile(r"^(\s+for: )(\d+)([mhd])$", re.MULTILINE)
UNITS = {"m": 60, "h": 3600, "d": 86_400}  # seconds
FASTER = 1000


def shown(*keys: str) -> dict[str, Any]:
    """Return the configuration of the page that contains a key, given by its path.

    Raises:
        AssertionError: There is not exactly one.
    """
    configurations = [yaml.safe_load(text) for _, text in BLOCK.findall(PAGE.read_text("utf-8"))]
    (found,) = [each for each in configurations if _contains(each, keys)]
    return dict(found)


def _contains(value: object, keys: tuple[str, ...]) -> bool:
    for key in keys:
        value = value[0] if isinstance(value, list) else value
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True


def prometheus(directory: Path, places: Mapping[str, str]) -> dict[str, Any]:
    """Return the page's configuration of Prometheus, which scrapes and evaluates every second.

    Args:
        directory: Gets the rules; each "for" is a thousandth of what it is.
        places: The address in this test, for each of the page.
    """
    directory.mkdir(parents=True, exist_ok=True)
    text = FOR.sub(_shorter, RULES.read_text("utf-8"))
    (directory / RULES.name).write_text(text, "utf-8")
    configuration = replaced(shown("rule_files"), places)
    return {"global": QUICK, **configuration}


def alertmanager(places: Mapping[str, str]) -> dict[str, Any]:
    """Return the page's configuration of the Alertmanager, without its usual pauses."""
    configuration: dict[str, Any] = replaced(shown("route"), places)
    configuration["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    return configuration


def replaced(value: Any, places: Mapping[str, str]) -> Any:  # noqa: ANN401 - any YAML
    """Return a value with its texts replaced, where they are in ``places``."""
    if isinstance(value, dict):
        return {key: replaced(each, places) for key, each in value.items()}
    if isinstance(value, list):
        return [replaced(each, places) for each in value]
    return places.get(value, value) if isinstance(value, str) else value


def _shorter(found: re.Match[str]) -> str:
    beginning, number, unit = found.groups()
    return f"{beginning}{int(number) * UNITS[unit] * 1000 // FASTER}ms"


QUICK = {"scrape_interval": "1s", "evaluation_interval": "1s"}
