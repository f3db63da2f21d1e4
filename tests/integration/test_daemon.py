"""The daemon as a process: signals, lock, and commands beside it."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

BOSTON = "boston"


def test_sigterm_stops_the_daemon(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).start()
    gatecert.wait_enrolled(BOSTON)

    started = time.monotonic()
    gatecert.process.signal(signal.SIGTERM)

    assert gatecert.process.wait(10) == 0
    assert time.monotonic() - started < 10


def test_a_second_daemon_on_the_same_state_exits_with_3(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).start()
    gatecert.wait_bootstrapped(BOSTON)

    second = gatecert.run("run", seconds=15)

    assert second.exit_code == 3
    assert str(gatecert.process.pid) in second.errors
    assert len(second.errors.strip().splitlines()) == 1
    assert gatecert.process.alive


def test_healthy_while_the_daemon_runs_and_a_certificate_is_valid(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()
    before = gatecert.run("status", "--check")
    gatecert.start()
    gatecert.wait_logged("ready gateways=1")
    running = gatecert.run("status", "--check")
    gatecert.process.stop()
    after = gatecert.run("status", "--check")

    assert (before.exit_code, running.exit_code, after.exit_code) == (1, 0, 1)
    expected = "gatecert: daemon not running\ngatecert: boston: no certificate"
    assert before.errors.startswith(expected)
    assert (running.output, running.errors) == ("", "")
    assert after.errors == "gatecert: daemon not running\n"


def test_a_killed_daemon_leaves_no_lock_behind(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).start()
    gatecert.wait_bootstrapped(BOSTON)
    gatecert.process.kill()
    names.point(hostname, "127.0.0.1")

    gatecert.start()

    gatecert.wait_enrolled(BOSTON)


def test_a_bad_configuration_leaves_the_old_one_in_force(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).start()
    gatecert.wait_bootstrapped(BOSTON)

    gatecert.configuration["gatways"] = {}
    gatecert.reload()
    gatecert.wait_logged("the old one stays in force")
    names.point(hostname, "127.0.0.1")
    gatecert.wait_enrolled(BOSTON)

    assert "gateways" in gatecert.process.output.split("gatways", 1)[1]


def test_a_gateway_added_later_is_enrolled(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    names.point("paris.example.com", "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).start()
    gatecert.wait_enrolled(BOSTON)

    gatecert.add_gateway("paris", "paris.example.com")
    gatecert.reload()

    gatecert.wait_enrolled("paris")


def test_commands_work_beside_a_running_daemon(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).start()
    gatecert.wait_enrolled(BOSTON)
    first = gatecert.certificate(BOSTON)

    forced = gatecert.run("enroll", BOSTON, "--force")
    checked = gatecert.run("check")
    listed = gatecert.run("status")

    assert forced.exit_code == 0, forced.errors
    assert gatecert.certificate(BOSTON) != first
    assert checked.exit_code == 0, checked.errors
    assert listed.exit_code == 0, listed.errors
    assert BOSTON in listed.output
    assert str(gatecert.process.pid) in listed.output
    assert "\x1b" not in listed.output
