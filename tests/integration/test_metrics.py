"""Metrics of the daemon, over HTTP and in a file."""

from __future__ import annotations

import http.client
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text_format

from harness.nginx import Nginx
from harness.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import ExitStack
    from pathlib import Path

    from prometheus_client import Metric

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

BOSTON, PARIS = "boston", "paris"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def textfile(tmp_path: Path) -> Path:
    directory = tmp_path / "node-exporter"
    directory.mkdir()
    return directory / "gatecert.prom"


@pytest.fixture
def measured(
    servers: ExitStack,
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    port: int,
    textfile: Path,
    hostname: str,
    tmp_path: Path,
) -> Gatecert:
    """A daemon with a gateway whose nginx serves, and one whose name is unknown."""
    names.point(hostname, "127.0.0.1")
    web = Nginx(tmp_path / "nginx", **gatecert.files(BOSTON))
    gatecert.use(pebble, names)
    install = {"reload": web.reload_command, "verify": [web.address]}
    gatecert.add_gateway(BOSTON, hostname, install=install)
    gatecert.add_gateway(PARIS, "paris.example.com")
    gatecert.configuration["metrics"] = {
        "listen": [f"127.0.0.1:{port}"],
        "textfile": str(textfile),
    }
    gatecert.start()
    gatecert.wait_bootstrapped(BOSTON)
    servers.enter_context(web)
    gatecert.wait_for(lambda: is_listening(port), "the metrics")
    return gatecert


def is_listening(port: int) -> bool:
    with suppress(ConnectionRefusedError):
        return bool(scrape(port))
    return False


def scrape(port: int, accept: str = "") -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics", headers={"Accept": accept} if accept else {})
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    assert response.status == 200
    kind = response.headers["Content-Type"].partition(";")[0]
    assert kind == ("application/openmetrics-text" if accept else "text/plain")
    return body


def values(
    text: str, parse: Callable[[str], Iterable[Metric]] = text_format
) -> dict[tuple[str, frozenset[str]], float]:
    """Return the value of each sample, by its name and the values of its labels."""
    return {
        (one.name.removeprefix("gatecert_"), frozenset(one.labels.values())): one.value
        for family in parse(text)
        for one in family.samples
    }


def value(text: str, name: str, *labels: str) -> float | None:
    return values(text).get((name, frozenset(labels)))


def is_served(port: int) -> bool:
    text = scrape(port)
    return value(text, "certificate_trusted", BOSTON) == 1 and bool(
        value(text, "orders_total", "pebble", "issued")
    )


def test_an_enrolment_is_measured(measured: Gatecert, port: int, textfile: Path) -> None:
    measured.wait_for(lambda: is_served(port), "the certificate to be served", seconds=30)
    text = scrape(port)
    certificate = measured.certificate(BOSTON)
    assert certificate is not None
    expected = {
        ("certificate_not_after_timestamp_seconds", BOSTON): (
            certificate.not_valid_after_utc.timestamp()
        ),
        ("certificate_served", BOSTON): 1,
        ("last_attempt_success", BOSTON): 1,
        ("consecutive_failures", BOSTON): 0,
        ("name_points_here", BOSTON): 1,
        ("certificate_trusted", PARIS): 0,
        ("last_attempt_success", PARIS): None,
        ("gateways", "trusted"): 1,
        ("gateways_configured",): 2,
        ("gateways_known",): 2,
        ("ready",): 1,
        ("orders_total", "pebble", "issued"): 1,
        ("orders_total", "pebble", "failed"): 0,
        ("budget_remaining", "pebble", "duplicates"): 4,
        ("worker_restarts_total",): 0,
        ("deploy_rollbacks_total",): 0,
    }
    assert {key: value(text, *key) for key in expected} == expected
    requests = value(text, "authority_request_duration_seconds_count", "pebble")
    assert requests is not None
    assert requests > 5
    assert value(text, "authority_request_duration_seconds_sum", "pebble")
    again = scrape(port, OPENMETRICS)
    assert again.endswith("# EOF\n")
    assert values(again, openmetrics).keys() == values(text).keys()

    def is_written() -> bool:
        written = textfile.read_text("utf-8")
        return value(written, "orders_total", "pebble", "issued") == 1

    measured.wait_for(is_written, "the file to be written")
    assert textfile.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in textfile.parent.iterdir()] == ["gatecert.prom"]


def test_what_leaves_the_configuration_leaves_the_metrics(measured: Gatecert, port: int) -> None:
    measured.wait_for(lambda: is_served(port), "the certificate to be served", seconds=30)
    del measured.configuration["gateways"][PARIS]
    authorities = measured.configuration["authorities"]
    authorities["other"] = authorities.pop("pebble")
    measured.reload()
    measured.wait_for(lambda: f'"{PARIS}"' not in scrape(port), "the gateway to be forgotten")
    measured.wait_for(lambda: '"pebble"' not in scrape(port), "the CA to be forgotten")
    text = scrape(port)
    assert value(text, "gateways_configured") == 1
    assert value(text, "certificate_served", BOSTON) == 1


def test_sums_alone(measured: Gatecert, port: int) -> None:
    measured.configuration["metrics"]["per_gateway"] = False
    measured.reload()
    measured.wait_for(lambda: 'gateway="' not in scrape(port), "the gateways to disappear")
    measured.wait_for(lambda: value(scrape(port), "gateways_known") == 2, "the sums to be known")
