from __future__ import annotations

import pytest

from gatecert.monitoring.exposition import OPENMETRICS, TEXT, Format, choose_format

KIND = "application/openmetrics-text"
PROMETHEUS_2 = (
    f"{KIND};version=1.0.0,{KIND};version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    f"{KIND};version=1.0.0;escaping=allow-utf-8;q=0.5,{KIND};version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        (BROWSER, TEXT),
        (PROMETHEUS_2, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        (KIND, OPENMETRICS),
        (KIND.upper(), OPENMETRICS),
        (f"{KIND}; version=1.0.0; charset=utf-8", OPENMETRICS),
        (f"{KIND}, text/plain", OPENMETRICS),
        (f"{KIND};q=0.5, text/plain", TEXT),
        (f"{KIND};q=0", TEXT),
        (f"{KIND};q=0, */*", TEXT),
        (f"{KIND};q=nan", TEXT),
        (f"{KIND};q=1e9", TEXT),
        (f"{KIND};q=-1", TEXT),
        (f"{KIND};q=", TEXT),
        (f"{KIND};version=2.0.0", TEXT),
        (f"{KIND};version=abc", TEXT),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily", TEXT),
        (",;=,,;q=;;", TEXT),
        ("," * 10_000, TEXT),
    ],
)
def test_format(accept: str, chosen: Format) -> None:
    assert choose_format(accept) is chosen
