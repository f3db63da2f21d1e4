"""The dashboard: Grafana's schema knows all of it, and every query finds data."""

from __future__ import annotations

import json
import types
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from tests.fakes.every_metric import every_metric

from gatecert.monitoring.textfile import write_textfile
from harness.prometheus import NodeExporter, Prometheus
from harness.waiting import wait_until

from .page import QUICK

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = Path(__file__).resolve().parents[2] / "packaging/monitoring/gatecert-dashboard.json"
DASHBOARD: dict[str, Any] = json.loads(PATH.read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
CHOSEN = {"$instance": ".*", "$gateway": ".*"}  # "All"

register_default_plugins()


@pytest.fixture(scope="module")
def scraped_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Return a Prometheus that scrapes the metrics of a host of a fleet."""
    directory = tmp_path_factory.mktemp("fleet")
    (directory / "textfiles").mkdir()
    write_textfile(directory / "textfiles/gatecert.prom", every_metric())
    with NodeExporter(directory / "exporter", directory / "textfiles") as exporter:
        target = {"job_name": "fleet", "static_configs": [{"targets": [exporter.address]}]}
        configuration = {"global": QUICK, "scrape_configs": [target]}
        with Prometheus(directory / "prometheus", configuration) as prometheus:
            yield prometheus


def parsed() -> Dashboard:
    return Dashboard.from_json(DASHBOARD)


def lost(given: object, understood: object, place: str = "") -> Iterator[str]:
    """Yield what of a JSON value is missing or different in the other one."""
    if isinstance(given, dict) and isinstance(understood, dict):
        for key, value in given.items():
            if key in understood:
                yield from lost(value, understood[key], f"{place}.{key}")
            else:
                yield f"{place}.{key}"
    elif isinstance(given, list) and isinstance(understood, list) and len(given) == len(understood):
        for number, (one, other) in enumerate(zip(given, understood, strict=True)):
            yield from lost(one, other, f"{place}[{number}]")
    elif given != understood:
        yield f"{place}: {given!r} became {understood!r}"


def fits(value: object, wanted: Any) -> bool:  # noqa: ANN401 - any annotation
    """Return True if a value has the annotated type, without its own attributes."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in {Union, types.UnionType}:
        return any(fits(value, each) for each in arguments)
    if origin is Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(fits(each, arguments[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(each, arguments[1]) for each in value.values())
    return wanted in {object, Any} or _is_one(value, wanted)


def _is_one(value: object, wanted: type) -> bool:
    if isinstance(value, dict) and hasattr(wanted, "from_json"):  # not parsed by the library
        return not list(misfits(wanted.from_json(value)))
    if issubclass(wanted, Enum):
        return value in [each.value for each in wanted]
    if isinstance(value, bool):
        return wanted is bool
    return isinstance(value, (int, float) if wanted is float else wanted)


def misfits(value: object, place: str = "dashboard") -> Iterator[str]:
    """Yield the attributes of a parsed value, and of what it contains, that have a wrong type."""
    if isinstance(value, list | dict):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in parts:
            yield from misfits(part, f"{place}[{key}]")
    elif type(value).__module__.startswith("grafana_foundation_sdk.models"):
        for name, wanted in get_type_hints(type(value)).items():
            attribute = getattr(value, name)
            if not fits(attribute, wanted):
                yield f"{place}.{name}: {attribute!r} is no {wanted}"
            if not isinstance(attribute, Enum):
                yield from misfits(attribute, f"{place}.{name}")


def queries(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


def test_grafana_knows_every_key() -> None:
    understood = json.loads(JSONEncoder(sort_keys=True).encode(parsed()))
    assert list(lost(DASHBOARD, understood)) == []


def test_every_value_has_the_type_that_grafana_expects() -> None:
    assert list(misfits(parsed())) == []


def test_a_wrong_key_and_a_wrong_type_are_found() -> None:
    wrong = json.loads(json.dumps(DASHBOARD))
    wrong["panels"][1]["gridPos"]["wide"] = 3
    wrong["panels"][1]["options"]["colorMode"] = 3
    wrong["refresh"] = 60
    read = Dashboard.from_json(wrong)
    understood = json.loads(JSONEncoder(sort_keys=True).encode(read))
    assert list(lost(wrong, understood)) == [".panels[1].gridPos.wide"]
    assert sorted(place.partition(":")[0] for place in misfits(read)) == [
        "dashboard.panels[1].options.color_mode",
        "dashboard.refresh",
    ]


def test_it_can_be_imported_without_editing() -> None:
    (source,) = {json.dumps(panel["datasource"]) for panel in PANELS}
    assert json.loads(source)["uid"] == "${datasource}"
    assert [each["name"] for each in DASHBOARD["templating"]["list"]] == [
        "datasource",
        "instance",
        "gateway",
    ]
    assert "id" not in DASHBOARD
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_no_panels_overlap() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    taken = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_every_query_finds_data(
    panel: dict[str, Any], scraped: Prometheus, scraped_fleet: Prometheus
) -> None:
    for query in queries(panel):
        source = scraped_fleet if "gatecert_fleet_" in query else scraped
        expression = query
        for variable, value in CHOSEN.items():
            expression = expression.replace(variable, value)
        assert "$" not in expression
        wait_until(
            lambda source=source, expression=expression: source.query(expression),  # type: ignore[misc]
            f"data of {expression}",
        )


def test_the_variables_find_hosts_and_gateways(scraped: Prometheus) -> None:
    assert len(scraped.label_values("instance", "gatecert_build_info")) == 1
    selector = 'gatecert_consecutive_failures{instance=~".*"}'
    assert scraped.label_values("gateway", selector) == {"boston", "paris"}
    (instance, gateway) = [each["query"]["query"] for each in DASHBOARD["templating"]["list"][1:]]
    assert instance == "label_values(gatecert_build_info, instance)"
    assert gateway == f"label_values({selector.replace('.*', '$instance')}, gateway)"
