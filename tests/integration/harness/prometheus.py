"""Prometheus, its Alertmanager and its node_exporter, from Debian's packages, on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
import yaml

from harness.ports import free_port
from harness.process import BackgroundProcess, program
from harness.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

HTTP_TIMEOUT = 5.0  # seconds


class _WebServer(Server):
    """A server with an HTTP interface that says when it is ready.

    Attributes:
        address: ``host:port``.
        ready: The path that it answers when it is ready.
    """

    address: str
    ready = "/-/ready"

    def start(self) -> Self:
        """Start it and wait until it is ready."""
        self.process.start()
        self.when_ready(self._is_ready, f"{type(self).__name__} at {self.address}")
        return self

    def _is_ready(self) -> bool:
        try:
            return requests.get(f"http://{self.address}{self.ready}", timeout=HTTP_TIMEOUT).ok
        except requests.ConnectionError:
            return False


class Prometheus(_WebServer):
    """Prometheus.

    Args:
        directory: For its configuration, data and log; paths in the configuration start there.
        configuration: As in ``prometheus.yml``.
    """

    def __init__(self, directory: Path, configuration: Mapping[str, Any]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.address = f"127.0.0.1:{free_port()}"
        path = directory / "prometheus.yml"
        path.write_text(yaml.safe_dump(dict(configuration), sort_keys=False), "utf-8")
        self.process = BackgroundProcess(
            [
                program("prometheus"),
                f"--config.file={path}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address={self.address}",
            ],
            log=directory / "prometheus.log",
        )

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an instant query, each with ``metric`` and ``value``.

        Raises:
            AssertionError: Prometheus refuses the expression.
        """
        found: list[dict[str, Any]] = self._ask("query", query=expression)["result"]
        return found

    def label_values(self, label: str, selector: str) -> set[str]:
        """Return the values of a label in the series of a selector."""
        found: list[str] = self._ask(f"label/{label}/values", **{"match[]": selector})
        return set(found)

    def firing(self) -> set[tuple[str, str]]:
        """Return name and gateway of each firing alert; the gateway is empty without one."""
        return {
            (alert["labels"]["alertname"], alert["labels"].get("gateway", ""))
            for alert in self._ask("alerts")["alerts"]
            if alert["state"] == "firing"
        }

    def targets(self) -> dict[str, str]:
        """Return the last error of each target, empty if it was scraped, by its job."""
        active = self._ask("targets", state="active")["activeTargets"]
        return {
            target["labels"]["job"]: "" if target["health"] == "up" else target["lastError"] or "?"
            for target in active
        }

    def _ask(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 - any JSON
        url = f"http://{self.address}/api/v1/{path}"
        answer = requests.get(url, params=parameters, timeout=HTTP_TIMEOUT).json()
        assert answer["status"] == "success", f"{parameters}: {answer}"
        return answer["data"]


class Alertmanager(_WebServer):
    """The Alertmanager.

    Args:
        directory: For its configuration, data and log.
        configuration: As in ``alertmanager.yml``.
    """

    def __init__(self, directory: Path, configuration: Mapping[str, Any]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.address = f"127.0.0.1:{free_port()}"
        path = directory / "alertmanager.yml"
        path.write_text(yaml.safe_dump(dict(configuration), sort_keys=False), "utf-8")
        self.process = BackgroundProcess(
            [
                program("prometheus-alertmanager"),
                f"--config.file={path}",
                f"--storage.path={directory / 'data'}",
                f"--web.listen-address={self.address}",
                "--cluster.listen-address=",  # alone
            ],
            log=directory / "alertmanager.log",
        )

    def fire(self, *alerts: Mapping[str, str]) -> None:
        """Make it believe that alerts with these labels fire."""
        url = f"http://{self.address}/api/v2/alerts"
        body = [{"labels": dict(labels)} for labels in alerts]
        requests.post(url, json=body, timeout=HTTP_TIMEOUT).raise_for_status()

    def alerts(self) -> list[tuple[dict[str, str], str]]:
        """Return the labels of each alert, with its state: unprocessed, active or suppressed."""
        found = requests.get(f"http://{self.address}/api/v2/alerts", timeout=HTTP_TIMEOUT).json()
        return [(alert["labels"], alert["status"]["state"]) for alert in found]


class NodeExporter(_WebServer):
    """The node_exporter with its textfile collector only.

    Args:
        directory: For its log.
        textfiles: The directory of the textfiles.
    """

    ready = "/"

    def __init__(self, directory: Path, textfiles: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.address = f"127.0.0.1:{free_port()}"
        self.process = BackgroundProcess(
            [
                program("prometheus-node-exporter"),
                "--collector.disable-defaults",
                "--collector.textfile",
                f"--collector.textfile.directory={textfiles}",
                f"--web.listen-address={self.address}",
            ],
            log=directory / "node-exporter.log",
        )
