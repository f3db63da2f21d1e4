"""tls-alpn-01 with a real CA: alone on the port, and behind gateways on the port."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization

from harness.handshake import trusted_certificate
from harness.nginx import Nginx
from harness.ports import free_port
from harness.recipe import Recipe

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

BOSTON = "boston"


def use_tls_alpn(gatecert: Gatecert, port: int, **gateway: Any) -> None:  # noqa: ANN401 - any keys
    gatecert.configuration["challenges"]["tls-alpn-01"] = {"listen": [f"127.0.0.1:{port}"]}
    gatecert.configuration["gateways"][BOSTON] |= {"challenge": "tls-alpn-01"} | gateway


@pytest.fixture
def prepared(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> Gatecert:
    names.point(hostname, "127.0.0.1")
    return gatecert.use(pebble, names).add_gateway(BOSTON, hostname)


def nobody_listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_tls_alpn_01_on_its_own_port(prepared: Gatecert, pebble: Pebble) -> None:
    use_tls_alpn(prepared, pebble.ports.tls_alpn01)
    prepared.write()

    result = prepared.run("enroll")

    assert result.exit_code == 0, result.errors
    assert prepared.is_enrolled(BOSTON)
    assert nobody_listens(pebble.ports.tls_alpn01)


def test_a_command_validates_beside_a_daemon_that_does(
    prepared: Gatecert, pebble: Pebble, names: ChallengeTestServer
) -> None:
    for number in range(3):
        names.point(f"gateway{number}.example.com", "127.0.0.1")
        prepared.add_gateway(
            f"gateway{number}", f"gateway{number}.example.com", challenge="tls-alpn-01"
        )
    use_tls_alpn(prepared, pebble.ports.tls_alpn01)
    prepared.start()

    result = prepared.run("enroll", "--force", BOSTON)

    assert result.exit_code == 0, result.errors
    for number in range(3):
        prepared.wait_enrolled(f"gateway{number}")
    assert prepared.is_enrolled(BOSTON)


@pytest.mark.parametrize("recipe", ["haproxy-tls-alpn-01.cfg", "nginx-tls-alpn-01.conf"])
def test_tls_alpn_01_behind_a_gateway_on_the_port(
    prepared: Gatecert,
    pebble: Pebble,
    servers: ExitStack,
    tmp_path: Path,
    hostname: str,
    recipe: str,
) -> None:
    own, public = free_port(), pebble.ports.tls_alpn01
    server = Nginx(tmp_path / "gateway", **prepared.files(BOSTON))
    use_tls_alpn(
        prepared,
        own,
        install={"reload": server.reload_command, "verify": [f"127.0.0.1:{public}"]},
    )
    prepared.start()
    prepared.wait_bootstrapped(BOSTON)
    # Without the gateway the deployment cannot be verified, so it comes second.
    servers.enter_context(server)
    servers.enter_context(
        Recipe(
            tmp_path / "front",
            recipe,
            port=public,
            places={
                "0.0.0.0:443": f"127.0.0.1:{public}",
                "[::]:443": "",
                "127.0.0.1:844": f"127.0.0.1:{own}",
                "127.0.0.1:8443": server.address,
            },
        )
    )
    prepared.look_again()
    prepared.wait_for(
        lambda: prepared.state(BOSTON) == "trusted", "the gateway to be trusted", seconds=40
    )

    served = trusted_certificate("127.0.0.1", public, hostname, pebble.root)
    live = prepared.certificate(BOSTON)
    assert live is not None
    assert served == live.public_bytes(serialization.Encoding.DER)


def test_a_gateway_on_the_port_is_distinguished_from_a_failed_validation(
    prepared: Gatecert, pebble: Pebble
) -> None:
    use_tls_alpn(prepared, pebble.ports.tls_alpn01)
    prepared.write()
    with socket.create_server(("127.0.0.1", pebble.ports.tls_alpn01)):
        result = prepared.run("enroll")

    assert result.exit_code == 1
    assert f"127.0.0.1:{pebble.ports.tls_alpn01} is in use by" in result.errors
    assert "acme-tls/1" in result.errors
    assert "Traceback" not in result.errors
    assert not prepared.is_enrolled(BOSTON)
