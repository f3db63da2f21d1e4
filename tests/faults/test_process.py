"""Rows 27, 28 and 55: signals, and the loss of the worker process."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from tests.faults import peers
from tests.faults.proxy.faults import SlowValidation
from tests.faults.scene import HOSTNAME, VPN, Scene, issued

from harness.process import end_group
from harness.waiting import wait_until

if TYPE_CHECKING:
    from tests.faults.peers import Peer


def validate_very_slowly(scene: Scene) -> None:
    slow = SlowValidation(600, 2)
    scene.rules.add("authorization", slow)
    scene.rules.add("order", slow)


def somebody_listens(scene: Scene) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", scene.pebble.ports.http01)) == 0


# ---------------------------------------------------------------------- 27


def test_row_27_sigterm_in_the_middle_of_an_order(scene: Scene) -> None:
    validate_very_slowly(scene)
    gatecert = scene.gatecert().start()
    gatecert.wait_for(lambda: scene.rules.asked("challenge"), "the challenge", seconds=30)
    time.sleep(0.5)
    started = time.monotonic()
    gatecert.process.signal(signal.SIGTERM)
    assert gatecert.process.wait(10) == 0
    assert time.monotonic() - started < 10
    assert not somebody_listens(scene)
    scene.rules.clear()
    gatecert.start().wait_enrolled(VPN)
    assert scene.pebble.orders() == 1


def test_peer_row_27(peer: Peer, scene: Scene) -> None:
    validate_very_slowly(scene)
    log = scene.directory / "peer.log"
    process = peers.start(peer.command(), log, environment=peer.environment)
    try:
        wait_until(lambda: scene.rules.asked("challenge"), "the challenge", seconds=30)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: process.poll() is not None, "leaves within 10 s", seconds=10)
    finally:
        end_group(process)
    scene.rules.clear()
    assert peers.run(peer, peer.command()).succeeded, "does not recover"
    assert scene.pebble.orders() == 1, "orders anew instead of going on"


# ---------------------------------------------------------------------- 28


def test_row_28_a_bad_configuration_on_reload(scene: Scene) -> None:
    scene.names.point(HOSTNAME)
    gatecert = scene.gatecert().start()
    gatecert.wait_bootstrapped(VPN)
    gatecert.wait_logged("ready gateways=1")
    good = gatecert.configuration_file.read_bytes()
    for bad in (b"gateways: [", b"", b"\x00", good.replace(b"hostname", b"hostnam")):
        gatecert.configuration_file.write_bytes(bad)
        before = gatecert.process.output.count("the old one stays in force")
        gatecert.process.signal(signal.SIGHUP)
        gatecert.wait_logged("the old one stays in force", times=before + 1)
    assert "hostnam" in gatecert.process.output
    scene.names.point(HOSTNAME, "127.0.0.1")
    gatecert.wait_enrolled(VPN)


# ---------------------------------------------------------------------- 55


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP])
def test_row_55_a_worker_lost_in_the_middle_of_an_order(
    scene: Scene, number: signal.Signals
) -> None:
    clock = scene.directory / "clock"
    clock.write_text("+0s", "utf-8")
    gatecert = scene.gatecert(clock=f"@{clock}")
    gatecert.use_debug()
    gatecert.configuration["worker"] = {"longest_pass": "10s"}
    gatecert.configuration["resolver"]["interval"] = "1h"
    other = "paris.example.com"
    scene.names.point(other, "127.0.0.1")
    gatecert.add_gateway("paris", other).write()
    issued(gatecert.run("enroll", "paris"))
    validate_very_slowly(scene)
    gatecert.start()
    # Not before: without a responder the authority would find the order invalid.
    gatecert.wait_for(lambda: scene.pebble.validations() == 2, "the validation")
    gatecert.wait_logged("idle gateway=paris")
    (worker,) = gatecert.workers()
    os.kill(worker, number)
    gatecert.wait_logged("worker lost", seconds=30)
    scene.rules.clear()
    gatecert.wait_logged(f"failed gateway={VPN}")
    assert gatecert.last_error(VPN) == "worker-lost"
    assert gatecert.last_error("paris") is None

    clock.write_text("+2m", "utf-8")  # past the pause after a failure
    gatecert.wait_enrolled(VPN)
    assert worker not in gatecert.workers()
    assert (scene.pebble.orders(), scene.pebble.certificates()) == (2, 2)
