"""A gateway that stops serving its certificate: detected, and reloaded or reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.certificates import write_self_signed
from harness.handshake import trusted_certificate
from harness.nginx import Nginx

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.ocserv import Ocserv
    from harness.pebble import Pebble

BOSTON = "boston"
WATCH = {"verify_timeout": "1s", "watch": "500ms"}


def trusted(gatecert: Gatecert) -> bool:
    return gatecert.state(BOSTON) == "trusted"


def reload(gateway: Ocserv, also: str = "true") -> list[str]:
    """Return a reload command that succeeds even if the gateway does not run."""
    return ["/bin/sh", "-c", f'{also}; kill -HUP "$(cat {gateway.pid_file})" || true']


def start_both(gatecert: Gatecert, gateway: Ocserv) -> None:
    gatecert.start()
    gatecert.wait_bootstrapped(BOSTON)
    gateway.start()


def test_a_copy_restored_from_a_backup_is_detected_and_replaced(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    servers: ExitStack,
    hostname: str,
    tmp_path: Path,
) -> None:
    fullchain, private_key = tmp_path / "server.pem", tmp_path / "server.key"
    write_self_signed(fullchain, private_key, [hostname])
    old = fullchain.read_bytes(), private_key.read_bytes()
    nginx = servers.enter_context(
        Nginx(tmp_path / "nginx", fullchain=fullchain, private_key=private_key)
    )
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(
        BOSTON,
        hostname,
        install={
            "reload": nginx.reload_command,
            "verify": [nginx.address],
            "copy_to": [
                {"path": str(fullchain), "contents": "fullchain"},
                {"path": str(private_key), "contents": "privkey"},
            ],
            **WATCH,
        },
    )
    gatecert.start()
    gatecert.wait_for(lambda: trusted(gatecert), "the certificate to be served", seconds=20)

    fullchain.write_bytes(old[0])
    private_key.write_bytes(old[1])
    nginx.reload()
    gatecert.wait_logged("drift gateway=boston")
    gatecert.wait_logged("after a reload")

    gatecert.wait_for(lambda: trusted(gatecert), "the certificate to be served again")
    trusted_certificate("127.0.0.1", nginx.port, hostname, pebble.root)
    error = gatecert.status(BOSTON)["last_error"]
    assert error["code"] == "drift"
    assert "still serves" in error["message"]
    assert pebble.orders() == 1


def test_if_a_reload_does_not_help_there_is_an_alarm_and_no_order(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    gateway: Ocserv,
    servers: ExitStack,
    hostname: str,
    tmp_path: Path,
) -> None:
    gatecert.use(pebble, names).add_gateway(
        BOSTON,
        hostname,
        install={"reload": reload(gateway), "verify": [gateway.address], **WATCH},
    )
    start_both(gatecert, gateway)
    names.point(hostname, "127.0.0.1")
    gatecert.wait_for(lambda: trusted(gatecert), "the certificate to be served", seconds=20)

    gateway.stop()
    fullchain, private_key = tmp_path / "other.pem", tmp_path / "other.key"
    write_self_signed(fullchain, private_key, ["intruder.example"])
    stranger = servers.enter_context(
        Nginx(tmp_path / "nginx", fullchain=fullchain, private_key=private_key, port=gateway.port)
    )
    gatecert.wait_for(lambda: gatecert.state(BOSTON) == "not-served", "the alarm")
    status = gatecert.status(BOSTON)
    assert status["served"] is False
    assert status["last_error"]["code"] == "not-served"
    assert "intruder.example" in status["last_error"]["message"]
    assert status["next_action"].startswith("deploy")

    stranger.process.stop()
    gateway.start()
    gatecert.wait_for(lambda: trusted(gatecert), "the next try to find it served", seconds=30)
    assert pebble.orders() == 1


def test_a_gateway_that_is_down_is_reported_once_and_not_reloaded(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    gateway: Ocserv,
    hostname: str,
    tmp_path: Path,
) -> None:
    reloads = tmp_path / "reloads"
    gatecert.use(pebble, names).add_gateway(
        BOSTON,
        hostname,
        install={
            "reload": reload(gateway, f"echo reload >> {reloads}"),
            "verify": [gateway.address],
            **WATCH,
        },
    )
    start_both(gatecert, gateway)
    names.point(hostname, "127.0.0.1")
    gatecert.wait_for(lambda: trusted(gatecert), "the certificate to be served", seconds=20)
    before = reloads.read_text()

    gateway.stop()
    gatecert.wait_for(lambda: gatecert.state(BOSTON) == "silent", "the silence to be noticed")
    first = gatecert.status(BOSTON)
    assert (first["served"], first["last_error"]["code"]) == (False, "listener-silent")
    gatecert.wait_for(
        lambda: gatecert.status(BOSTON)["served_at"] > first["served_at"], "another look"
    )

    gateway.start()
    gatecert.wait_logged("answers again")
    assert trusted(gatecert)
    assert gatecert.process.output.count("silent gateway=boston") == 1
    assert reloads.read_text() == before
    assert pebble.orders() == 1
