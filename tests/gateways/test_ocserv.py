"""docs/gateways/ocserv.md"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.handshake import HandshakeLoop
from harness.neighbour import GATEWAY_ADDRESS
from harness.process import BackgroundProcess, program
from harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateways.conftest import Open, Serves, Tell

    from harness.neighbour import Neighbour

HOSTNAME = "boston-njndubu.dynamic-m.com"
INSIDE = "203.0.113.1"
LOG_IN = ("--authenticate", "--passwd-on-stdin")
# What a client's script would set here.
CONFIGURE = (
    'ip address add "$INTERNAL_IP4_ADDRESS" dev "$TUNDEV"; ip link set "$TUNDEV" up; '
    f'ip route replace {INSIDE} dev "$TUNDEV"'
)


def openconnect(root: Path, *more: str) -> list[str]:
    return [
        *("openconnect", "--non-inter", "--no-system-trust", "--user=alice"),
        *(f"--cafile={root}", f"--resolve={HOSTNAME}:{GATEWAY_ADDRESS}", *more),
        f"https://{HOSTNAME}",
    ]


def test_ocserv(
    open_page: Open, serves: Serves, neighbour: Neighbour, tell: Tell, tmp_path: Path
) -> None:
    scenario = open_page("ocserv")
    scenario.bootstrap()
    scenario.configure_server(answers="secret\nsecret\n")
    ocserv = BackgroundProcess(
        [program("ocserv"), "--foreground", "--config", "/etc/ocserv/ocserv.conf"],
        log=tmp_path / "ocserv.log",
    )
    scenario.servers.enter_context(ocserv)
    wait_until(serves, "ocserv at port 443", explain=ocserv.tail)
    refused = neighbour.run(*openconnect(scenario.root, *LOG_IN), check=False, text="secret\n")
    assert "signer not found" in refused

    scenario.trust()
    printed = neighbour.run(*openconnect(scenario.root, *LOG_IN), text="secret\n")
    cookie = found[1] if (found := re.search(r"^COOKIE='(.+)'$", printed, re.MULTILINE)) else ""
    tunnel = neighbour.background(
        *openconnect(scenario.root, f"--cookie={cookie}", f"--script=sh -c '{CONFIGURE}'")
    )
    scenario.servers.enter_context(tunnel)
    wait_until(
        lambda: INSIDE in neighbour.run("ip", "route"),
        "a tunnel",
        explain=tunnel.tail,
        seconds=20.0,
    )
    with (
        neighbour.ping(INSIDE) as ping,
        HandshakeLoop("127.0.0.1", 443, HOSTNAME, interval=0.02, trusted=scenario.root) as loop,
    ):
        ping.wait_answered()
        seconds = scenario.renew()
        loop.wait_for_leaves(2)
        ping.wait_answered()
        delivery = ping.stop()
    again = neighbour.run(*openconnect(scenario.root, *LOG_IN), text="secret\n")

    assert re.search(r"^COOKIE=", again, re.MULTILINE)
    assert loop.failures == []
    assert delivery.lost == 0
    tell(
        f"ocserv: renewed in {seconds:.2f} s; 0 of {len(loop.handshakes)} new connections "
        f"refused; an open tunnel: {delivery}"
    )
