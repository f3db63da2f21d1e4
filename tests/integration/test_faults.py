"""Faults with a real CA and a real gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from harness.handshake import served_certificate
from harness.nginx import Nginx

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.ocserv import Ocserv
    from harness.pebble import Pebble

BOSTON = "boston"


def test_a_reload_without_effect_is_reported_and_costs_no_second_order(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    gateway: Ocserv,
    hostname: str,
    tmp_path: Path,
) -> None:
    reload = tmp_path / "reload"
    reload.write_text("#!/bin/sh\nexit 0\n", "utf-8")
    reload.chmod(0o755)
    gatecert.use(pebble, names).add_gateway(
        BOSTON,
        hostname,
        install={
            "reload": [str(reload)],
            "verify": [gateway.address],
            "verify_timeout": "1s",
        },
    )
    gatecert.start()
    gatecert.wait_bootstrapped(BOSTON)
    gateway.start()

    names.point(hostname, "127.0.0.1")
    gatecert.wait_for(lambda: gatecert.last_error(BOSTON) == "not-served", "the alarm")
    status = gatecert.status(BOSTON)
    assert status["state"] == "not-served"
    assert status["last_error"]["fix"]
    assert gatecert.is_enrolled(BOSTON)

    reload.write_text(f'#!/bin/sh\nkill -HUP "$(cat {gateway.pid_file})"\n', "utf-8")
    gatecert.wait_for(
        lambda: gatecert.state(BOSTON) == "trusted", "the deployment to be tried again", seconds=60
    )
    served = served_certificate("127.0.0.1", gateway.port, hostname, trusted=pebble.root)
    live = gatecert.certificate(BOSTON)
    assert live is not None
    assert served == live.public_bytes(serialization.Encoding.DER)
    assert pebble.orders() == 1


def test_a_listener_that_is_never_reloaded_does_not_affect_the_other(
    servers: ExitStack,
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    gateway: Ocserv,
    hostname: str,
    tmp_path: Path,
) -> None:
    never_reloaded = Nginx(tmp_path / "nginx", **gatecert.files(BOSTON))
    gatecert.use(pebble, names).add_gateway(
        BOSTON,
        hostname,
        install={
            "reload": gateway.reload_command,
            "verify": [gateway.address, never_reloaded.address],
            "verify_timeout": "1s",
        },
    )
    gatecert.start()
    gatecert.wait_bootstrapped(BOSTON)
    gateway.start()
    servers.enter_context(never_reloaded)

    names.point(hostname, "127.0.0.1")
    gatecert.wait_for(lambda: gatecert.last_error(BOSTON) == "not-served", "the alarm")

    assert gatecert.state(BOSTON) == "not-served"
    live = gatecert.certificate(BOSTON)
    assert live is not None
    assert gatecert.is_enrolled(BOSTON)
    served = served_certificate("127.0.0.1", gateway.port, hostname, trusted=pebble.root)
    assert served == live.public_bytes(serialization.Encoding.DER)
    assert never_reloaded.address in gatecert.status(BOSTON)["last_error"]["message"]


def test_enrolment_with_a_ca_that_has_lost_its_state(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).start()
    gatecert.wait_enrolled(BOSTON)
    first = gatecert.certificate(BOSTON)

    pebble.restart()
    result = gatecert.run("enroll", "--force")

    assert result.exit_code == 0, result.errors
    assert gatecert.is_enrolled(BOSTON)
    assert gatecert.certificate(BOSTON) != first
    assert pebble.orders() == 2
