"""docs/container.md: a gateway and its sidecar, as the files of container/ run them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.container.conftest import BOSTON, HOSTNAME, Pair

if TYPE_CHECKING:
    from tests.container.conftest import Outside, Tell

    from harness.compose import Compose
    from harness.container import Podman
    from harness.pod import Pod

TERMINATED = 143  # 128 and SIGTERM


def begin_compose(compose: Compose, podman: Podman, outside: Outside) -> Pair:
    """Start both services in the order of the file."""
    sidecar = compose.sidecar("gatecert").start()
    assert compose.waits_for_health_of("gateway") == ["gatecert"]
    sidecar.wait_for(lambda: sidecar.is_healthy, "gatecert to be healthy")
    sidecar.state = podman.volume("gatecert")
    gateway = compose.service("gateway").start()
    gateway.wait_for(outside.served, "the gateway to serve", interval=0.02)
    return Pair(outside, sidecar, gateway)


def begin_pod(pod: Pod, outside: Outside) -> Pair:
    """Start both containers in the order of a node."""
    pod.share_processes()
    sidecar = pod.sidecar().start()
    probe = pod.startup_probe()
    sidecar.wait_for(lambda: sidecar.execute(*probe).exit_code == 0, "gatecert to start up")
    gateway = pod.gateway().start()
    gateway.wait_for(outside.served, "the gateway to serve", interval=0.02)
    return Pair(outside, sidecar, gateway)


def test_a_gateway_that_watches_the_directory_reloads(
    compose: Compose, podman: Podman, outside: Outside, tell: Tell
) -> None:
    begin = time.monotonic()
    pair = begin_compose(compose, podman, outside)
    started = time.monotonic() - begin
    assert outside.served(trusted=True) is None
    trusted = pair.trust()
    renewed, requests = pair.renew()
    tell(
        f"compose, watching: untrusted certificate served {started:.1f} s after the start, trusted "
        f"one {trusted:.1f} s after the name points here, renewed and proven in {renewed:.1f} s; "
        f"0 of {len(requests.handshakes)} requests dropped"
    )
    assert pair.gateway.stop() == 0
    begin = time.monotonic()
    assert pair.sidecar.stop() == 0
    tell(f"compose: SIGTERM ends the daemon in {time.monotonic() - begin:.1f} s")


def test_a_gateway_reloads_on_a_signal(
    pod: Pod, podman: Podman, outside: Outside, tell: Tell
) -> None:
    begin = time.monotonic()
    pair = begin_pod(pod, outside)
    started = time.monotonic() - begin
    assert outside.served(trusted=True) is None
    trusted = pair.trust()
    renewed, requests = pair.renew()
    tell(
        f"pod, signal: untrusted certificate served {started:.1f} s after the start, trusted "
        f"one {trusted:.1f} s after the name points here, renewed and proven in {renewed:.1f} s; "
        f"0 of {len(requests.handshakes)} requests dropped"
    )

    assert podman.ask("exec", pair.sidecar.name, "gatecert", "status").exit_code == 0
    command = ("python3", "/opt/gatecert/bin/send-signal", "HUP")
    nobody = pair.sidecar.execute(*command, "ocserv")
    assert nobody.exit_code == 1
    assert nobody.errors.startswith("no process named ocserv: check that the gateway runs")
    other = podman.ask("exec", "--user=10002:10002", pair.sidecar.name, *command, "nginx")
    assert other.exit_code == 1
    assert "(nginx) belongs to user 10001, not to user 10002" in other.errors


def test_sigterm_stops_a_gateway_that_waits_for_its_first_certificate(compose: Compose) -> None:
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
