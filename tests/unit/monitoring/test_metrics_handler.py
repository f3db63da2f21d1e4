"""The paths of a listener for metrics."""

from __future__ import annotations

from gatecert.monitoring.exchange import Request
from gatecert.monitoring.metrics import Metrics
from gatecert.monitoring.metrics_handler import metrics_handler

TEXT = Request("/metrics")
OPENMETRICS = Request("/metrics", headers={"accept": "application/openmetrics-text"})


def test_scrapes_of_a_second_share_one_body_of_each_format() -> None:
    seconds = 5.0
    metrics = Metrics(per_gateway=True, version="0.1.0")
    answer = metrics_handler(metrics, lambda: seconds)
    first, other = answer(TEXT), answer(OPENMETRICS)
    assert first.content_type.startswith("text/plain;")
    assert other.content_type.startswith("application/openmetrics-text;")
    assert other.body.endswith(b"# EOF\n")

    metrics.describe_daemon(configured=7, ready=True)
    seconds = 5.9
    assert answer(TEXT).body is first.body
    assert answer(OPENMETRICS).body is other.body
    seconds = 6.0
    assert b"gatecert_gateways_configured 7.0" in answer(TEXT).body
    assert b"gatecert_gateways_configured 7.0" in answer(OPENMETRICS).body
