"""docs/gateways/openvpn.md"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from harness.neighbour import GATEWAY_ADDRESS
from harness.process import BackgroundProcess, program
from harness.users import make_user
from harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateways.conftest import Open, Tell

    from harness.neighbour import Neighbour
    from harness.users import User

HOSTNAME = "boston-njndubu.dynamic-m.com"
INSIDE = "203.0.113.1"
READY = "Initialization Sequence Completed"


def client(root: Path, user: User) -> list[str]:
    return [
        *("openvpn", "--client", "--dev", "tun", "--proto", "udp", "--nobind", "--persist-tun"),
        *("--remote", GATEWAY_ADDRESS, "1194", "--ca", str(root), "--remote-cert-tls", "server"),
        *("--cert", str(user.certificate), "--key", str(user.private_key)),
        *("--verify-x509-name", HOSTNAME, "name"),
    ]


def test_openvpn(open_page: Open, neighbour: Neighbour, tell: Tell, tmp_path: Path) -> None:
    scenario = open_page("openvpn", common_name=True)
    user = make_user(tmp_path / "user", "alice")
    shutil.copy(user.authority, "/etc/openvpn/users-ca.pem")
    scenario.bootstrap()
    scenario.configure_server()
    server = BackgroundProcess(
        [program("openvpn"), "--config", "/etc/openvpn/server/boston.conf"],
        log=tmp_path / "openvpn.log",
    )
    scenario.servers.enter_context(server)
    wait_until(lambda: READY in server.output, "OpenVPN", explain=server.tail)
    with neighbour.background(*client(scenario.root, user)) as refused:
        wait_until(lambda: "VERIFY ERROR" in refused.output, "a refusal", explain=refused.tail)

    scenario.trust()
    tunnel = neighbour.background(*client(scenario.root, user))
    with tunnel:
        wait_until(lambda: READY in tunnel.output, "a tunnel", explain=tunnel.tail)
        with neighbour.ping(INSIDE) as ping:
            ping.wait_answered()
            seconds = scenario.renew()
            wait_until(
                lambda: tunnel.output.count(READY) == 2, "the client again", explain=tunnel.tail
            )
            ping.wait_answered()
            delivery = ping.stop()

    assert delivery.longest_gap < 15.0
    tell(f"OpenVPN: renewed in {seconds:.2f} s; an open tunnel: {delivery}")
