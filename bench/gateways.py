"""Measurements of gatecert: first enrolment, enrolment in a running daemon, and idle."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psutil

from harness.gatecert import Gatecert
from harness.handshake import served_certificate
from harness.ocserv import Ocserv
from harness.process import program
from harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from harness.challenge_test_server import ChallengeTestServer
    from harness.pebble import Pebble

POLL = 0.002  # seconds
SETTLED = 5.0  # seconds after which a daemon is idle
ENROLLED = re.compile(r"enrolled gateway=(\S+) .*seconds=([\d.]+)")


def from_nothing(
    directory: Path, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> tuple[float, float]:
    """Start the daemon on an empty state directory, with a real gateway.

    Returns:
        Seconds from the start of the process until the bootstrap certificate is in ``live``, and
        until the gateway serves a certificate that a client trusts.
    """
    names.point(hostname, "127.0.0.1")
    gatecert = Gatecert(directory)
    files = gatecert.files("gateway")
    gateway = Ocserv(directory, **files)
    # The gateway starts when it has a certificate: the first reload may have to wait for it.
    reload = f'until kill -HUP "$(cat {gateway.pid_file})" 2>/dev/null; do sleep 0.01; done'
    gatecert.use(pebble, names).add_gateway(
        "gateway",
        hostname,
        install={"reload": [program("sh"), "-c", reload], "verify": [gateway.address]},
    )
    with ExitStack() as servers:
        servers.push(gateway.__exit__)
        servers.enter_context(gatecert)
        started = gatecert.process.started_at
        wait_until(files["fullchain"].exists, "the bootstrap certificate", interval=POLL)
        bootstrapped = time.monotonic() - started
        gateway.start()

        def is_trusted() -> bool:
            try:
                return bool(
                    served_certificate("127.0.0.1", gateway.port, hostname, trusted=pebble.root)
                )
            except OSError:
                return False

        wait_until(is_trusted, "a trusted certificate", seconds=30, explain=gatecert.process.tail)
        return bootstrapped, time.monotonic() - started


def warm(
    directory: Path, pebble: Pebble, names: ChallengeTestServer, hostnames: list[str]
) -> list[float]:
    """Enrol one gateway after the other in a running daemon, without any reload.

    Returns:
        Seconds of each pass by the daemon's own clock: name look-up, order, validation, finalize,
        check of the chain, and durable writes.
    """
    gatecert = Gatecert(directory).use(pebble, names)
    with ExitStack() as servers:
        for number, hostname in enumerate(hostnames):
            names.point(hostname, "127.0.0.1")
            gatecert.add_gateway(f"gateway{number}", hostname)
            if number:
                gatecert.reload()
            else:
                servers.enter_context(gatecert)
            gatecert.wait_logged("enrolled gateway=", times=number + 1)
        taken = dict(ENROLLED.findall(gatecert.process.output))
        # The first one creates the account as well.
        return [float(taken[f"gateway{number}"]) for number in range(1, len(hostnames))]


def idle(
    directory: Path,
    pebble: Pebble,
    names: ChallengeTestServer,
    hostname: str,
    *,
    window: float,
) -> tuple[float, float]:
    """Observe an idle daemon.

    Returns:
        Resident memory in MB, and the share of one processor in percent over the window.
    """
    names.point(hostname, "127.0.0.1")
    gatecert = Gatecert(directory).use(pebble, names).add_gateway("gateway", hostname)
    gatecert.configuration["resolver"]["interval"] = "30s"  # the default
    with gatecert:
        gatecert.wait_enrolled("gateway")
        time.sleep(SETTLED)
        process = psutil.Process(gatecert.process.pid)
        before = process.cpu_times()
        started = time.monotonic()
        time.sleep(window)
        after = process.cpu_times()
        passed = time.monotonic() - started
        used = after.user + after.system - before.user - before.system
        return process.memory_info().rss / 1e6, round(100 * used / passed, 4)
