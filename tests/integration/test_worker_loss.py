"""Workers that are shot, hang, need too much memory or die at once, beside an order in progress."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from tests.faults.proxy.faults import SlowValidation
from tests.faults.proxy.server import FaultProxy

from harness.false_clock import false_clock

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

BOSTON, PARIS = "boston", "paris"
PARIS_NAME = "paris.example.com"
PAUSE = "+2m"  # longer than after a first failure
# Imported by each interpreter with this directory in PYTHONPATH; files beside it spoil workers.
SPOILT_START = """\
import os, sys
from pathlib import Path
if "gatecert.worker" in " ".join(sys.orig_argv):
    if Path(__file__).with_name("broken").exists():
        os.abort()
    if Path(__file__).with_name("large").exists():
        sys.large = b"x" * (100 << 20)
"""


@pytest.fixture
def proxy(servers: ExitStack, tmp_path: Path, pebble: Pebble) -> FaultProxy:
    """The CA as gatecert sees it."""
    return servers.enter_context(
        FaultProxy(
            tmp_path / "proxy",
            upstream=pebble.base_url,
            upstream_certificate=pebble.https_certificate,
        )
    )


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """Return the file that says how far ahead the daemon's clock is."""
    return tmp_path / "clock"


@pytest.fixture
def configured(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    proxy: FaultProxy,
    hostname: str,
    clock: Path,
) -> Gatecert:
    """Two names that point here, at the CA behind the proxy; ``paris`` is a gateway already."""
    names.point(hostname, "127.0.0.1")
    names.point(PARIS_NAME, "127.0.0.1")
    gatecert.use(
        pebble,
        names,
        directory_url=proxy.directory_url,
        ca_bundle=str(proxy.https_certificate),
    )
    gatecert.configuration["resolver"]["interval"] = "1h"
    clock.write_text("+0s", "utf-8")
    gatecert.process.add_environment(false_clock(f"@{clock}"))
    return gatecert.add_gateway(PARIS, PARIS_NAME)


def begin_order(gatecert: Gatecert, pebble: Pebble, proxy: FaultProxy, hostname: str) -> int:
    """Enrol ``paris``, begin an order for ``boston``, and return the worker in the middle of it."""
    gatecert.start().wait_logged(f"enrolled gateway={PARIS}")
    slow = SlowValidation(600, 1)
    proxy.rules.add("authorization", slow)
    proxy.rules.add("order", slow)
    before = pebble.validations()
    gatecert.add_gateway(BOSTON, hostname).reload()
    gatecert.wait_logged("configuration reloaded")
    # Not before: without a responder the CA finds the order invalid.
    gatecert.wait_for(lambda: pebble.validations() > before, "a validation")
    gatecert.wait_for(lambda: len(gatecert.workers()) == 1, "the worker before to leave")
    return gatecert.workers()[0]


def assert_one_order(gatecert: Gatecert, pebble: Pebble) -> None:
    """Each gateway has cost one order and one certificate, and ``paris`` was left alone."""
    assert (pebble.orders(), pebble.certificates()) == (2, 2)
    assert gatecert.state(PARIS) in {"trusted", "unproven"}
    assert gatecert.last_error(PARIS) is None
    assert f"failed gateway={PARIS}" not in gatecert.process.output


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_shot_in_the_middle_of_an_order(
    configured: Gatecert,
    proxy: FaultProxy,
    pebble: Pebble,
    hostname: str,
    clock: Path,
    number: signal.Signals,
) -> None:
    worker = begin_order(configured, pebble, proxy, hostname)

    os.kill(worker, number)
    configured.wait_logged(f"gateways={BOSTON}: it was ended by {number.name}")
    proxy.rules.clear()
    configured.wait_logged(f"failed gateway={BOSTON}")
    assert configured.last_error(BOSTON) == "worker-lost"

    clock.write_text(PAUSE, "utf-8")
    configured.wait_enrolled(BOSTON, seconds=60)
    assert_one_order(configured, pebble)


def test_a_worker_that_hangs_is_replaced(
    configured: Gatecert, proxy: FaultProxy, pebble: Pebble, hostname: str, clock: Path
) -> None:
    configured.configuration["worker"] = {"longest_pass": "15s"}
    worker = begin_order(configured, pebble, proxy, hostname)

    os.kill(worker, signal.SIGSTOP)
    configured.wait_logged(f"the pass over {BOSTON} hangs", seconds=90)
    proxy.rules.clear()
    configured.wait_logged(f"failed gateway={BOSTON}")
    assert worker not in configured.workers()
    assert configured.last_error(BOSTON) == "worker-lost"

    clock.write_text(PAUSE, "utf-8")
    configured.wait_enrolled(BOSTON, seconds=60)
    assert_one_order(configured, pebble)


@pytest.fixture
def spoilt(tmp_path: Path, configured: Gatecert, names: ChallengeTestServer) -> Gatecert:
    """A daemon whose workers can be spoilt by files in ``start``; ``paris`` points nowhere yet."""
    names.point(PARIS_NAME)
    start = tmp_path / "start"
    start.mkdir()
    (start / "sitecustomize.py").write_text(SPOILT_START, "utf-8")
    path = os.pathsep.join(filter(None, (str(start), os.environ.get("PYTHONPATH"))))
    configured.process.add_environment({"PYTHONPATH": path})
    configured.configuration["worker"] = {"idle": "1s", "memory_limit": 64}
    return configured


@pytest.mark.parametrize(
    ("how", "words"),
    [("broken", "it was ended by SIGABRT"), ("large", "MiB (worker.memory_limit)")],
)
def test_a_worker_that_is_lost_at_once_is_started_ever_later(
    spoilt: Gatecert,
    names: ChallengeTestServer,
    tmp_path: Path,
    clock: Path,
    how: str,
    words: str,
) -> None:
    file = tmp_path / "start" / how
    spoilt.start().wait_logged("ready gateways=1")
    spoilt.wait_no_workers()

    file.touch()
    spoilt.look_again()
    spoilt.wait_logged(words, times=3)
    # At least 4, 8 and 16 s lie between the next ones.
    time.sleep(6)
    assert spoilt.process.output.count(words) <= 4  # without pauses: a dozen
    assert spoilt.process.alive

    file.unlink()
    names.point(PARIS_NAME, "127.0.0.1")
    if how == "large":  # it took the gateway, so a failure is counted
        spoilt.wait_logged(f"failed gateway={PARIS}", seconds=30)
        assert spoilt.last_error(PARIS) == "worker-lost"
        clock.write_text(PAUSE, "utf-8")
        spoilt.wait_logged("clock jumped")
        spoilt.look_again()
    spoilt.wait_enrolled(PARIS, seconds=60)


def test_a_reload_helps_although_no_worker_has_prepared_anything_yet(
    spoilt: Gatecert, tmp_path: Path
) -> None:
    (tmp_path / "start" / "large").touch()
    spoilt.start().wait_logged("MiB (worker.memory_limit)", times=2)
    assert "ready gateways=1" not in spoilt.process.output

    spoilt.configuration["worker"] = {"idle": "1s", "memory_limit": 512}
    spoilt.reload()

    spoilt.wait_logged("ready gateways=1", seconds=40)
    assert spoilt.process.alive
