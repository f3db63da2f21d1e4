"""A certificate that no handshake can verify yet, because nothing listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from harness.handshake import served_certificate
from harness.nginx import Nginx
from harness.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

HOSTNAME = "vpn.example.com"


def prepared(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, reload: list[str]
) -> int:
    """Add a gateway whose server does not run; return the server's port."""
    port = free_port()
    names.point(HOSTNAME, "127.0.0.1")
    install = {"verify": [f"127.0.0.1:{port}"], "reload": reload}
    gatecert.use(pebble, names).add_gateway("vpn", HOSTNAME, install=install).write()
    return port


def test_enrolment_before_the_server_starts(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, tmp_path: Path
) -> None:
    port = prepared(gatecert, pebble, names, ["/bin/sh", "-c", "echo not running; exit 1"])
    result = gatecert.run("enroll", seconds=20)
    assert result.exit_code == 0, result.errors
    assert "installed, not proven: nothing listens at 127.0.0.1" in result.output
    assert "not running" in result.output
    assert gatecert.is_enrolled("vpn")
    assert gatecert.state("vpn") == "silent"
    issued = gatecert.certificate("vpn")
    assert issued is not None

    again = gatecert.run("enroll", seconds=20)
    assert (again.exit_code, pebble.orders()) == (0, 1)

    with Nginx(tmp_path / "nginx", port=port, **gatecert.files("vpn")):
        assert gatecert.run("enroll").exit_code == 0
        assert gatecert.state("vpn") == "trusted"
        served = served_certificate("127.0.0.1", port, HOSTNAME)
        assert served == issued.public_bytes(Encoding.DER)
    assert pebble.orders() == 1


def test_the_daemon_verifies_as_soon_as_something_listens(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, tmp_path: Path
) -> None:
    port = prepared(gatecert, pebble, names, [])
    gatecert.start()
    gatecert.wait_enrolled("vpn")
    gatecert.wait_for(lambda: gatecert.state("vpn") == "silent", "that nothing listens")
    with Nginx(tmp_path / "nginx", port=port, **gatecert.files("vpn")):
        gatecert.wait_for(lambda: gatecert.state("vpn") == "trusted", "a proof", seconds=30)
    assert pebble.orders() == 1
