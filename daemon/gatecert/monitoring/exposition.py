"""The formats in which Prometheus reads metrics, and which of them a client is given.

- Text: https://prometheus.io/docs/instrumenting/exposition_formats/
- OpenMetrics 1.0: https://prometheus.io/docs/specs/om/open_metrics_spec/

prometheus-client renders both. Its own choice by the Accept header fails for versions that are no
numbers, repeats the client's version in the answer, and knows no weights (RFC 9110 section 12.4.2);
and it needs 2 s for the samples of 10,000 gateways, whose lines are therefore made here, once for
each change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from gatecert.monitoring.metric_families import Family

OPENMETRICS_TYPE: Final = "application/openmetrics-text"
OPENMETRICS_VERSIONS: Final = {"", "1.0.0", "0.0.1"}
TEXT_TYPES: Final = {"text/plain", "text/*", "*/*"}


@dataclass(frozen=True, slots=True)
class Format:
    """A format.

    Attributes:
        content_type: Of the response.
        render: Renders metrics of the library, and what ends a response.
    """

    content_type: str
    render: Callable[[Collector], bytes]


TEXT: Final = Format(CONTENT_TYPE_PLAIN_0_0_4, generate_latest)
OPENMETRICS: Final = Format(openmetrics.CONTENT_TYPE_LATEST, openmetrics.generate_latest)


def choose_format(accept: str) -> Format:
    """Return OpenMetrics if a client asks for it at least as much as for text, else text.

    Args:
        accept: The Accept header; empty if there is none.
    """
    wanted, text = 0.0, 0.0
    for written in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in written.split(";"))
        known = dict(parameter.partition("=")[::2] for parameter in parameters)
        weight = _weight(known.get("q", "1"))
        if kind == OPENMETRICS_TYPE and known.get("version", "") in OPENMETRICS_VERSIONS:
            wanted = max(wanted, weight)
        elif kind in TEXT_TYPES:
            text = max(text, weight)
    return OPENMETRICS if wanted and wanted >= text else TEXT


def encodable(label_value: str) -> str:
    """Return the value of a label without what UTF-8 cannot express."""
    return label_value.encode("utf-8", "replace").decode("utf-8")


def sample_line(family: Family, label_value: str, value: float) -> bytes:
    """Return the sample of a gauge with one label; it is the same in both formats."""
    escaped = label_value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    line = f'{family.name}{{{family.labels[0]}="{escaped}"}} {float(value)}\n'
    return line.encode("utf-8", "replace")


def heading(family: Family) -> bytes:
    """Return the lines before the samples of a gauge; they are the same in both formats."""
    return text_of([gauge(family, None)])


def gauge(family: Family, value: float | Mapping[str, float] | None) -> Metric:
    """Return a gauge for `text_of`.

    Args:
        family: Its name and meaning.
        value: Its value; by the value of its label if it has one; None for no sample.
    """
    metric = GaugeMetricFamily(family.name, family.meaning, labels=family.labels)
    if isinstance(value, Mapping):
        for label_value, number in value.items():
            metric.add_metric([label_value], number)
    elif value is not None:
        metric.add_metric([], value)
    return metric


def text_of(gauges: Iterable[Metric]) -> bytes:
    """Return gauges in the text format."""
    return TEXT.render(_Collected(gauges))


@dataclass(frozen=True, slots=True)
class _Collected(Collector):
    """Metrics that the library renders."""

    metrics: Iterable[Metric]

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self.metrics


def _weight(written: str) -> float:
    """Parse a weight; zero for what is none."""
    try:
        weight = float(written)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
