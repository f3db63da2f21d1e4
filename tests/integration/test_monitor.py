"""The monitor beside the daemon: killed, hung, reloaded, restarted; the gateways never notice."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.ports import free_port

if TYPE_CHECKING:
    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

BOSTON, PARIS = "boston", "paris"


class Asked:
    """A daemon with metrics and a page, and their answers.

    Args:
        gatecert: The daemon.
    """

    def __init__(self, gatecert: Gatecert) -> None:
        self.gatecert = gatecert
        self.metrics, self.page = free_port(), free_port()
        gatecert.configuration["metrics"] = {"listen": [f"127.0.0.1:{self.metrics}"]}
        gatecert.configuration["page"] = {"listen": [f"127.0.0.1:{self.page}"]}

    def get(self, port: int, path: str) -> str:
        """Return the body of an answer; empty if nothing listens."""
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return str(answer.read().decode())
        return ""

    def metric(self, name: str) -> float | None:
        """Return the value of a sample."""
        found = re.search(
            rf"^{re.escape(name)} (\S+)$", self.get(self.metrics, "/metrics"), re.MULTILINE
        )
        return float(found[1]) if found else None

    def wait_known(self, number: int) -> None:
        """Wait until so many gateways are described."""
        self.gatecert.wait_for(
            lambda: self.metric("gatecert_gateways_known") == number, f"{number} known gateways"
        )

    def status(self) -> dict[str, Any]:
        """Return what the page says in JSON, without what changes with each second."""
        return without_time(json.loads(self.get(self.page, "/status.json")))

    def monitor(self) -> int:
        """Return the process id of the monitor."""
        (process,) = self.gatecert.monitors()
        return process


def without_time(status: dict[str, Any]) -> dict[str, Any]:
    del status["time"]
    return status


@pytest.fixture
def asked(gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str) -> Asked:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names)
    gatecert.add_gateway(BOSTON, hostname)
    gatecert.add_gateway(PARIS, "paris.example.com", mode="custom")
    gatecert.configuration["resolver"]["interval"] = "1h"
    gatecert.configuration["worker"] = {"idle": "200ms"}
    asked = Asked(gatecert)
    gatecert.start()
    gatecert.wait_enrolled(BOSTON)
    gatecert.wait_no_workers()
    asked.wait_known(2)
    return asked


def test_the_page_says_what_status_says(asked: Asked) -> None:
    assert asked.status() == without_time(asked.gatecert.run("status", "--json").json())
    assert asked.metric('gatecert_orders_total{authority="pebble",result="issued"}') == 1.0
    assert asked.metric('gatecert_name_points_here{gateway="boston"}') == 1.0


def test_a_killed_monitor_is_replaced_and_told_everything(asked: Asked) -> None:
    before, daemon = asked.monitor(), asked.gatecert.process.pid
    os.kill(before, signal.SIGKILL)
    asked.gatecert.wait_logged(f"monitor lost pid={before}: it was ended by SIGKILL")
    asked.wait_known(2)
    assert asked.monitor() != before
    assert asked.gatecert.process.pid == daemon
    assert asked.status() == without_time(asked.gatecert.run("status", "--json").json())
    assert asked.gatecert.process.output.count("enrolled gateway=boston") == 1


def test_a_hung_monitor_does_not_stop_the_daemon(asked: Asked) -> None:
    os.kill(asked.monitor(), signal.SIGSTOP)
    asked.gatecert.look_again()
    asked.gatecert.wait_logged("starting a pass over every gateway")
    assert asked.gatecert.run("enroll", "--force", BOSTON).exit_code == 0
    started = time.monotonic()
    asked.gatecert.process.signal(signal.SIGTERM)
    asked.gatecert.process.wait(15)
    assert time.monotonic() - started < 10


def test_the_monitor_ends_with_a_killed_core(asked: Asked) -> None:
    monitor = asked.monitor()
    asked.gatecert.process.kill()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{monitor}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not asked.get(asked.page, "/healthz")


def test_after_a_restart_gateways_are_described_without_a_pass(asked: Asked) -> None:
    asked.gatecert.process.signal(signal.SIGTERM)
    asked.gatecert.process.wait(15)
    before = asked.gatecert.process.output
    asked.gatecert.start()
    asked.wait_known(2)
    assert asked.status() == without_time(asked.gatecert.run("status", "--json").json())
    added = asked.gatecert.process.output.removeprefix(before)
    assert "resolve gateway=boston" not in added


def test_a_reload_moves_the_page_and_ends_the_monitor(asked: Asked) -> None:
    monitor, old = asked.monitor(), asked.page
    asked.page = free_port()
    asked.gatecert.configuration["page"] = {"listen": [f"127.0.0.1:{asked.page}"]}
    del asked.gatecert.configuration["gateways"][PARIS]
    asked.gatecert.reload()
    asked.wait_known(1)
    asked.gatecert.wait_for(lambda: asked.get(asked.page, "/healthz"), "the page")
    assert not asked.get(old, "/healthz")
    assert asked.monitor() == monitor
    del asked.gatecert.configuration["page"], asked.gatecert.configuration["metrics"]
    asked.gatecert.reload()
    asked.gatecert.wait_for(lambda: not asked.gatecert.monitors(), "the monitor to leave")
    assert asked.gatecert.run("status", "--json").json()["monitoring"] == {
        "listeners": [],
        "receivers": [],
    }


def test_a_taken_port_is_a_problem_of_the_page_only(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname)
    asked = Asked(gatecert)
    gatecert.configuration["page"]["listen"] = [f"127.0.0.1:{pebble.ports.acme}"]
    gatecert.start()
    gatecert.wait_enrolled(BOSTON)
    asked.wait_known(1)
    shown = gatecert.run("status").output
    assert f"page at 127.0.0.1:{pebble.ports.acme}: " in shown
    assert gatecert.run("status", "--check=serving").exit_code == 0


def test_an_idle_monitor_sleeps_in_one_thread(asked: Asked) -> None:
    process = Path(f"/proc/{asked.monitor()}")
    assert len(list((process / "task").iterdir())) == 1
    before = woken(process)
    time.sleep(5)
    assert woken(process) - before <= 1


def woken(process: Path) -> int:
    """Return how often a process has gone to sleep by itself."""
    found = re.search(
        r"^voluntary_ctxt_switches:\s+(\d+)", (process / "status").read_text(), re.MULTILINE
    )
    assert found
    return int(found[1])
