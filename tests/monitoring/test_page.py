"""Configurations and commands of docs/monitoring.md, and the alert that it promises."""

from __future__ import annotations

import re
import secrets
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import bcrypt
import pytest
import yaml

from harness.certificates import write_self_signed
from harness.ports import free_port
from harness.process import program
from harness.prometheus import Alertmanager, NodeExporter, Prometheus
from harness.waiting import wait_until

from .page import PAGE, QUICK, RULES, alertmanager, prometheus, replaced, shown
from .scene import Scene

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path
    from typing import Any

LISTENER = "127.0.0.1:9876"  # of the page


def run(*command: str) -> None:
    finished = subprocess.run(
        [program(command[0]), *command[1:]], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def start_prometheus(
    servers: ExitStack, directory: Path, configuration: dict[str, Any]
) -> Prometheus:
    return servers.enter_context(Prometheus(directory, {"global": QUICK, **configuration}))


def wait_for_metrics(found: Prometheus) -> None:
    wait_until(lambda: found.query("gatecert_gateways_known == 1"), "metrics", seconds=30)


@pytest.fixture
def scene(tmp_path: Path, servers: ExitStack) -> Scene:
    found = Scene(tmp_path, servers)
    found.add_gateway("boston")
    return found


def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path)
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(shown("rule_files")), "utf-8")
    run("promtool", "check", "config", str(path))


def test_amtool_accepts_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump(shown("route")), "utf-8")
    run("amtool", "check-config", str(path))


def test_what_a_worse_alert_makes_superfluous_is_not_sent(
    servers: ExitStack, tmp_path: Path
) -> None:
    nowhere = {"127.0.0.1:25": f"127.0.0.1:{free_port()}"}
    manager = servers.enter_context(Alertmanager(tmp_path, alertmanager(nowhere)))

    def labels(name: str, gateway: str, severity: str) -> dict[str, str]:
        place = {"job": "gatecert", "instance": "vpn:9876", "gateway": gateway}
        return {"alertname": name, "severity": severity, **place}

    def without_gateway(name: str, severity: str) -> dict[str, str]:
        return {"alertname": name, "severity": severity, "job": "gatecert", "instance": "vpn:9876"}

    fired = [
        # Of the host, or of a sum: these say nothing of each other.
        without_gateway("GatecertCertificateNotServed", "critical"),
        without_gateway("GatecertReceiverDown", "warning"),
        without_gateway("GatecertNeedsAttention", "warning"),
        labels("GatecertCertificateEnded", "boston", "critical"),
        labels("GatecertAttemptsFail", "boston", "warning"),
        labels("GatecertAttemptsFail", "paris", "warning"),
        labels("GatecertNeedsAttention", "paris", "warning"),
        labels("GatecertNeedsAttention", "lyon", "warning"),
    ]
    manager.fire(*fired)
    states = [*["active"] * 4, "suppressed", "active", "suppressed", "active"]
    expected = list(zip(fired, states, strict=True))
    wait_until(
        lambda: all(alert in manager.alerts() for alert in expected),
        "the states of the alerts",
        seconds=20,
        explain=lambda: str(manager.alerts()),
    )


def test_the_links_of_the_alerts_can_lead_elsewhere(tmp_path: Path) -> None:
    (command,) = re.findall(
        r"^sed -i .*gatecert\.rules\.yml$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    copied = tmp_path / RULES.name
    shutil.copy(RULES, copied)
    *words, _ = shlex.split(command)
    run(*words, str(copied))
    links = re.findall(r"runbook_url: (\S+)#", copied.read_text("utf-8"))
    pages = {link.removeprefix("https://wiki.example.org/gatecert/docs/") for link in links}
    assert pages == {"doctor.md", "monitoring.md", "status.md"}


def test_a_daemon_that_stops_is_an_alert_until_it_runs_again(
    scene: Scene, servers: ExitStack, tmp_path: Path
) -> None:
    scene.start()
    assert scene.gatecert.run("check").exit_code == 0
    directory = tmp_path / "prometheus"
    configuration = prometheus(directory, {LISTENER: scene.metrics})
    watching = start_prometheus(servers, directory, configuration)
    wait_for_metrics(watching)
    wait_until(lambda: not watching.firing(), "no alert", seconds=20)

    scene.gatecert.process.stop()
    down = {("GatecertDown", "")}
    wait_until(lambda: watching.firing() == down, "GatecertDown", seconds=20)
    scene.gatecert.process.start()
    wait_until(lambda: not watching.firing(), "no alert any longer", seconds=20)


def test_other_hosts_are_scraped_with_tls_and_a_password(
    scene: Scene, servers: ExitStack, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "web.pem", tmp_path / "web.key"
    write_self_signed(certificate, key, ["127.0.0.1"])
    secret = secrets.token_hex()
    hashed = bcrypt.hashpw(secret.encode(), bcrypt.gensalt(4)).decode()
    live = "/var/lib/gatecert/gateways/boston/live"
    configuration = shown("tls_server_config")
    (hash_of_page,) = configuration["basic_auth_users"].values()
    places = {
        f"{live}/fullchain.pem": str(certificate),
        f"{live}/privkey.pem": str(key),
        hash_of_page: hashed,
    }
    web = tmp_path / "web.yml"
    web.touch(0o600)
    web.write_text(yaml.safe_dump(replaced(configuration, places)), "utf-8")
    scene.gatecert.configuration["metrics"]["web_config"] = str(web)
    scene.start()

    password = tmp_path / "password"
    password.write_text(secret)
    (job,) = replaced(
        shown("scrape_configs", "scheme")["scrape_configs"],
        {"/etc/prometheus/gatecert.password": str(password)},
    )
    job |= {
        "static_configs": [{"targets": [scene.metrics]}],
        "tls_config": {"ca_file": str(certificate)},
    }
    intruder = {key: value for key, value in job.items() if key != "basic_auth"}
    jobs = [job, intruder | {"job_name": "intruder"}]
    watching = start_prometheus(servers, tmp_path / "prometheus", {"scrape_configs": jobs})
    wait_for_metrics(watching)
    wait_until(lambda: "401" in watching.targets()["intruder"], "a refusal", seconds=20)
    assert watching.targets()["gatecert"] == ""


def test_the_node_exporter_shows_the_textfile(
    scene: Scene, servers: ExitStack, tmp_path: Path
) -> None:
    shown_path = shown("metrics", "textfile")["metrics"]["textfile"]
    textfile = tmp_path / "textfiles" / shown_path.rpartition("/")[2]
    textfile.parent.mkdir()
    scene.gatecert.configuration["metrics"] = {"textfile": str(textfile)}
    scene.start()
    exporter = servers.enter_context(NodeExporter(tmp_path / "exporter", textfile.parent))
    directory = tmp_path / "prometheus"
    configuration = prometheus(directory, {LISTENER: exporter.address})
    configuration["scrape_configs"][0]["job_name"] = "node"
    watching = start_prometheus(servers, directory, configuration)
    wait_for_metrics(watching)
    (alert,) = [
        rule["expr"]
        for rule in yaml.safe_load(RULES.read_text("utf-8"))["groups"][0]["rules"]
        if rule["alert"] == "GatecertTextfileOld"
    ]
    (age,) = watching.query(alert.partition(" > ")[0])
    assert 0 <= float(age["value"][1]) < 60
    wait_until(lambda: not watching.firing(), "no alert", seconds=20)
