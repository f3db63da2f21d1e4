"""docs/container.md: a gateway and its sidecar, as the files of container/ run them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.container.conftest import BOSTON, HOSTNAME, begin_compose

if TYPE_CHECKING:
    from tests.container.conftest import Outside, Pair, Tell

    from harness.compose import Compose
    from harness.container import Podman

TERMINATED = 143  # 128 and SIGTERM


def test_the_gateway_serves_each_certificate_and_drops_nothing(pair: Pair, tell: Tell) -> None:
    assert pair.outside.served(trusted=True) is None
    trusted = pair.trust()
    renewed, requests = pair.renew()
    tell(
        f"trusted certificate served {trusted:.1f} s after the name points here, renewed and "
        f"proven in {renewed:.1f} s; 0 of {len(requests.handshakes)} requests dropped"
    )
    assert pair.gateway.stop() == 0
    begin = time.monotonic()
    assert pair.sidecar.stop() == 0
    tell(f"SIGTERM ends the daemon in {time.monotonic() - begin:.1f} s")


def test_sigterm_stops_a_gateway_that_waits_for_its_first_certificate(
    compose: Compose, podman: Podman
) -> None:
    podman.must("volume", "create", "gatecert")
    (podman.volume("gatecert") / "gateways" / BOSTON).mkdir(parents=True)
    gateway = compose.service("gateway").start()
    assert gateway.runs
    assert gateway.stop() == TERMINATED


def test_a_re_created_container_with_the_same_volume_orders_nothing(
    compose: Compose, podman: Podman, outside: Outside, tell: Tell
) -> None:
    pair = begin_compose(compose, podman, outside)
    pair.trust()
    certificate, asked = pair.sidecar.certificate(BOSTON), outside.pebble.requests()
    assert outside.pebble.orders() == 1

    pair.sidecar.remove()
    begin = time.monotonic()
    pair.sidecar.start()
    pair.sidecar.wait_for(lambda: pair.sidecar.is_healthy, "gatecert to be healthy")
    pair.wait_settled()
    tell(f"created again: content in {time.monotonic() - begin:.1f} s")

    assert outside.pebble.orders() == 1
    assert not [one for one in outside.pebble.requests()[len(asked) :] if one.startswith("POST")]
    assert pair.sidecar.certificate(BOSTON) == certificate
    assert outside.served(trusted=True) is not None
    assert HOSTNAME in pair.sidecar.command_line("status", BOSTON).output


def test_fixes_fit_a_container(compose: Compose, podman: Podman) -> None:
    sidecar = compose.sidecar("gatecert")

    examined = podman.last(*sidecar.options, sidecar.image, "doctor")

    assert "daemon not running" in examined.output
    assert "start the container that runs gatecert run" in examined.output
    for only_on_a_host in ("systemctl", "journalctl", "timedatectl", "sudo"):
        assert only_on_a_host not in examined.output + examined.errors
