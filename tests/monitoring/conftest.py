"""A gatecert with metrics, real servers, and a Prometheus that scrapes it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from harness.prometheus import Prometheus
from harness.waiting import wait_until

from .page import prometheus
from .scene import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Stop the servers that are entered here when the test ends."""
    with ExitStack() as running:
        yield running


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Return a Prometheus that has scraped a gatecert with two enrolled gateways."""
    directory = tmp_path_factory.mktemp("scraped")
    with ExitStack() as servers:
        scene = Scene(directory, servers)
        scene.gatecert.configuration["notify"] = [{"name": "nobody", "command": ["true"]}]
        for name in ("boston", "paris"):
            scene.add_gateway(name)
        scene.start()
        places = {"127.0.0.1:9876": scene.metrics}
        found = servers.enter_context(
            Prometheus(
                directory / "prometheus",
                prometheus(directory / "prometheus", places),
            )
        )
        wait_until(lambda: found.query("gatecert_ready == 1"), "the first scrape", seconds=30)
        scene.enrol()
        yield found
