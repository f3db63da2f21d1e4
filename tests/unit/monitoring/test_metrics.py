from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text_format
from tests.fakes.every_metric import every_metric
from tests.fakes.gateway_statuses import BOSTON, EVERY_STATE, FULL, NOW, gateway

from gatecert.measurement import DeliveryResult, Measurement, OrderResult
from gatecert.model.fleet import FleetHalt
from gatecert.model.fleet_report import FleetReport
from gatecert.monitoring import metric_families
from gatecert.monitoring.metrics import Metrics
from gatecert.report.gateway_status import Condition
from gatecert.report.monitoring_status import ReceiverStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from prometheus_client import Metric

    from gatecert.report.gateway_status import GatewayStatus

    Parse = Callable[[str], Iterable[Metric]]

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
FORMATS = [("", text_format), (OPENMETRICS, openmetrics)]
HOSTILE = 'a"b\\c\nd\\n{e="f"} 1\u2028\x85\r\x1b[31m<script>é😀' + "x" * 10_000


def described(*statuses: GatewayStatus, per_gateway: bool = True) -> Metrics:
    metrics = Metrics(per_gateway=per_gateway, version="0.1.0")
    for status in statuses:
        metrics.describe(status)
    return metrics


def samples(metrics: Metrics, accept: str = "") -> dict[str, float]:
    """Return each sample's value by its text."""
    lines = metrics.exposition(accept)[1].decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {key: float(value) for key, _, value in pairs}


def value(metrics: Metrics, sample: str) -> float | None:
    return samples(metrics).get(f"gatecert_{sample}")


def unix(instant: datetime | None) -> float:
    assert instant is not None
    return instant.timestamp()


@pytest.mark.parametrize(("accept", "parse"), FORMATS)
def test_every_metric_of_the_table_is_there_and_no_other(accept: str, parse: Parse) -> None:
    parsed = {each.name: each for each in parse(every_metric().exposition(accept)[1].decode())}
    known = {each.name.removesuffix("_total"): each for each in metric_families.ALL}
    assert parsed.keys() == known.keys()
    for name, family in known.items():
        assert parsed[name].type == family.kind
        assert parsed[name].documentation == family.meaning
        labels = {label for one in parsed[name].samples for label in one.labels} - {"le"}
        assert labels == set(family.labels), name
        assert parsed[name].samples, name


def test_openmetrics_end_with_eof_and_have_no_created_samples() -> None:
    kind, body = every_metric().exposition(OPENMETRICS)
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert body.endswith(b"\n# EOF\n")
    assert body.count(b"# EOF") == 1
    assert b"_created" not in body


def test_text_format_is_what_a_client_without_wishes_gets() -> None:
    kind, body = every_metric().exposition("")
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# EOF" not in body
    assert b"_created" not in body


@pytest.mark.parametrize(("accept", "parse"), FORMATS)
def test_samples_of_a_family_stand_together(accept: str, parse: Parse) -> None:
    body = described(BOSTON, FULL, *EVERY_STATE).exposition(accept)[1].decode()
    names = [each.name for each in parse(body)]
    assert len(names) == len(set(names))
    assert len(re.findall("^# TYPE ", body, re.MULTILINE)) == len(names)


def test_values_of_a_trusted_gateway() -> None:
    found = samples(described(replace(BOSTON, points_here=True)))
    assert {key: number for key, number in found.items() if 'gateway="' in key} == {
        f'gatecert_{name}{{gateway="boston"}}': expected
        for name, expected in {
            "certificate_not_after_timestamp_seconds": unix(BOSTON.not_after),
            "certificate_not_before_timestamp_seconds": unix(BOSTON.not_before),
            "certificate_served": 1,
            "certificate_trusted": 1,
            "consecutive_failures": 0,
            "name_points_here": 1,
            "next_action_timestamp_seconds": unix(BOSTON.next_at),
            "needs_attention": 0,
        }.items()
    }


def test_sums() -> None:
    metrics = described(*EVERY_STATE, FULL, replace(BOSTON, name="moved", points_here=False))
    metrics.describe_daemon(configured=99, ready=True)
    found = samples(metrics)
    states = {f'gatecert_gateways{{state="{state}"}}' for state in Condition}
    assert sum(found[state] for state in states) == len(EVERY_STATE) + 2
    ends = [status.not_after for status in (*EVERY_STATE, FULL) if status.not_after is not None]
    expected = {
        "gateways_needing_attention": 11,
        "gateways_not_served": 3,
        "gateways_last_attempt_failed": 4,
        "gateways_name_elsewhere": 1,
        "gateways_revoked": 1,
        "earliest_not_after_timestamp_seconds": min(ends).timestamp(),
        "gateways_configured": 99,
        "gateways_known": len(EVERY_STATE) + 2,
        "ready": 1,
        'build_info{version="0.1.0"}': 1,
    }
    assert {key: found[f"gatecert_{key}"] for key in expected} == expected


def test_sums_alone() -> None:
    metrics = described(*EVERY_STATE, per_gateway=False)
    assert value(metrics, "gateways_known") == len(EVERY_STATE)
    assert "gateway=" not in metrics.exposition("")[1].decode()


def test_sums_of_no_gateway() -> None:
    found = samples(described())
    assert found["gatecert_gateways_known"] == 0
    assert found['gatecert_gateways{state="trusted"}'] == 0
    assert "gatecert_earliest_not_after_timestamp_seconds" not in found
    assert not [key for key in found if "gateway=" in key]


def test_forgotten_gateway_leaves_nothing() -> None:
    metrics = described(BOSTON, gateway("lyon", not_after=NOW))
    metrics.forget("lyon")
    metrics.forget("never known")
    assert "lyon" not in metrics.exposition("")[1].decode()
    assert value(metrics, "gateways_known") == 1
    assert value(metrics, "earliest_not_after_timestamp_seconds") == unix(BOSTON.not_after)


def test_new_status_replaces_the_old_one() -> None:
    metrics = described(BOSTON, replace(BOSTON, served=False, state=Condition.NOT_SERVED))
    assert value(metrics, 'certificate_served{gateway="boston"}') == 0
    assert value(metrics, "gateways_not_served") == 1
    assert value(metrics, "gateways_known") == 1


@pytest.mark.parametrize(("accept", "parse"), FORMATS)
def test_hostile_names_stay_label_values(accept: str, parse: Parse) -> None:
    metrics = described(replace(BOSTON, name=HOSTILE))
    metrics.describe_receivers([ReceiverStatus(HOSTILE)])
    metrics.measure(Measurement.REQUEST_SECONDS, {"authority": HOSTILE}, 1.5)
    families = {each.name: each for each in parse(metrics.exposition(accept)[1].decode())}
    served = families["gatecert_certificate_served"]
    assert [(one.labels, one.value) for one in served.samples] == [({"gateway": HOSTILE}, 1)]
    up = families["gatecert_notification_receiver_up"]
    assert [one.labels for one in up.samples] == [{"receiver": HOSTILE}]


@pytest.mark.parametrize("name", [HOSTILE, "plain", "", "\\", '"'])
def test_samples_are_rendered_as_the_library_does(name: str) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("gatecert_certificate_served", "x", ["gateway"], registry=registry)
    gauge.labels(name).set(1)
    line = generate_latest(registry).decode().split("\n", 2)[2]
    assert line in described(replace(BOSTON, name=name)).exposition("")[1].decode()


def test_text_that_is_no_unicode_breaks_nothing() -> None:
    metrics = described(replace(BOSTON, name="\ud800"))
    metrics.describe_receivers([ReceiverStatus("\ud800")])
    metrics.measure(Measurement.REQUEST_SECONDS, {"authority": "\ud800"}, 1)
    assert value(metrics, 'certificate_served{gateway="?"}') == 1
    metrics.describe_receivers([])
    assert 'receiver="' not in metrics.exposition("")[1].decode()


def test_a_fleet() -> None:
    metrics = described(BOSTON)
    halt = FleetHalt(brake_since=NOW)
    metrics.describe_fleet(
        FleetReport(NOW, hosts=3, silent=("a", "b"), behind=4, in_flight={"le": 5}, halt=halt)
    )
    found = samples(metrics)
    assert {name: found[name] for name in found if name.startswith("gatecert_fleet")} == {
        "gatecert_fleet_database_up": 1,
        "gatecert_fleet_database_since_timestamp_seconds": NOW.timestamp(),
        'gatecert_fleet_hosts{state="live"}': 1,
        'gatecert_fleet_hosts{state="silent"}': 2,
        "gatecert_fleet_gateways_behind": 4,
        'gatecert_fleet_orders_in_flight{authority="le"}': 5,
        'gatecert_fleet_halted{by="pause"}': 0,
        'gatecert_fleet_halted{by="brake"}': 1,
    }


def test_without_its_database_the_rest_of_a_fleet_is_unknown() -> None:
    metrics = described(BOSTON)
    metrics.describe_fleet(FleetReport(NOW, "no server answers"))
    found = samples(metrics)
    assert found["gatecert_fleet_database_up"] == 0
    assert "gatecert_fleet_gateways_behind" not in found


def test_with_files_alone_there_is_no_fleet() -> None:
    metrics = described(BOSTON)
    assert b"fleet" not in metrics.exposition("")[1]
    metrics.describe_fleet(FleetReport(NOW))
    metrics.describe_fleet(None)
    assert b"fleet" not in metrics.exposition(OPENMETRICS)[1]


def test_measurements() -> None:
    metrics = described()
    failed = {"authority": "le", "result": OrderResult.FAILED}
    for seconds in (0.04, 0.2, 31.0):
        metrics.measure(Measurement.REQUEST_SECONDS, {"authority": "le"}, seconds)
    metrics.measure(Measurement.ORDERS, failed, 0)
    for _ in range(2):
        metrics.measure(Measurement.ORDERS, failed, 1)
        metrics.measure(Measurement.ROLLBACKS, {}, 1)
    for remaining in (5, 4):
        labels = {"authority": "le", "limit": "duplicates"}
        metrics.measure(Measurement.BUDGET_REMAINING, labels, remaining)
    assert value(metrics, 'orders_total{authority="le",result="failed"}') == 2
    assert value(metrics, "deploy_rollbacks_total") == 2
    assert value(metrics, "worker_restarts_total") == 0
    assert value(metrics, 'budget_remaining{authority="le",limit="duplicates"}') == 4
    bucket = 'authority_request_duration_seconds_bucket{authority="le",le='
    assert value(metrics, f'{bucket}"0.05"}}') == 1
    assert value(metrics, f'{bucket}"0.25"}}') == 2
    assert value(metrics, f'{bucket}"30.0"}}') == 2
    assert value(metrics, f'{bucket}"+Inf"}}') == 3


@pytest.mark.parametrize("name", Measurement)
def test_every_measurement_has_a_metric(name: Measurement) -> None:
    (family,) = (each for each in metric_families.ALL if each.name == f"gatecert_{name}")
    metrics = described()
    before = samples(metrics)
    metrics.measure(name, dict.fromkeys(family.labels, "x"), 1)
    assert samples(metrics) != before


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("orders", {"authority": "le", "result": "issued"}),
        (Measurement.ORDERS, {"authority": "le"}),
        (Measurement.ORDERS, {"authority": "le", "kind": "issued"}),
        (Measurement.BUDGET_REMAINING, {}),
        (Measurement.ROLLBACKS, {"gateway": "boston"}),
    ],
)
def test_unknown_measurement_or_label_is_an_error(name: str, labels: dict[str, str]) -> None:
    metrics = described()
    before = samples(metrics)
    with pytest.raises(ValueError, match=r"measurement|label"):
        metrics.measure(name, labels, 1)
    assert samples(metrics) == before


def test_receivers() -> None:
    metrics = described()
    metrics.describe_receivers([ReceiverStatus("mail"), ReceiverStatus("chat", problem="refused")])
    metrics.measure(
        Measurement.NOTIFICATIONS, {"receiver": "chat", "result": DeliveryResult.FAILED}, 1
    )
    metrics.describe_receivers([ReceiverStatus("mail"), ReceiverStatus("chat", problem="refused")])
    assert value(metrics, 'notification_receiver_up{receiver="mail"}') == 1
    assert value(metrics, 'notification_receiver_up{receiver="chat"}') == 0
    assert value(metrics, 'notifications_total{receiver="mail",result="delivered"}') == 0
    assert value(metrics, 'notifications_total{receiver="chat",result="failed"}') == 1
    metrics.describe_receivers([ReceiverStatus("mail")])
    assert "chat" not in metrics.exposition("")[1].decode()
    assert value(metrics, 'notification_receiver_up{receiver="mail"}') == 1


def test_ca_of_the_past_is_shown_no_longer() -> None:
    metrics = every_metric()
    metrics.describe_fleet(None)  # the follower reports by the new configuration
    metrics.keep_authorities(["le"])
    assert value(metrics, 'orders_total{authority="le",result="issued"}') == 1
    metrics.keep_authorities(["zerossl"])
    assert 'authority="' not in metrics.exposition("")[1].decode()
    metrics.measure(Measurement.REQUEST_SECONDS, {"authority": "le"}, 0.3)  # of the old worker
    assert 'authority="' not in metrics.exposition("")[1].decode()
    metrics.keep_authorities(["le"])
    metrics.measure(Measurement.REQUEST_SECONDS, {"authority": "le"}, 0.3)
    assert value(metrics, 'authority_request_duration_seconds_count{authority="le"}') == 1


def test_a_limit_that_is_off_is_shown_no_longer() -> None:
    metrics = described()
    for limit in ("duplicates", "orders"):
        metrics.measure(Measurement.BUDGET_REMAINING, {"authority": "le", "limit": limit}, 0)
    metrics.measure(Measurement.ORDERS, {"authority": "le", "result": OrderResult.ISSUED}, 2)
    metrics.keep_authorities(["le"])
    metrics.measure(Measurement.BUDGET_REMAINING, {"authority": "le", "limit": "orders"}, 5)
    assert value(metrics, 'budget_remaining{authority="le",limit="duplicates"}') is None
    assert value(metrics, 'budget_remaining{authority="le",limit="orders"}') == 5
    assert value(metrics, 'orders_total{authority="le",result="issued"}') == 2
