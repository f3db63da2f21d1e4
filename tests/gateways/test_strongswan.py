"""docs/gateways/strongswan.md

strongSwan does ESP in user space (kernel-libipsec), so the test also runs on a kernel without it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from harness.neighbour import GATEWAY_ADDRESS
from harness.process import BackgroundProcess, program
from harness.users import make_user
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gateways.conftest import Open, Tell

    from harness.neighbour import Neighbour
    from harness.users import User

HOSTNAME = "boston-njndubu.dynamic-m.com"
INSIDE = "203.0.113.1"
DAEMON = """\
charon-systemd {{
    load = random nonce openssl x509 constraints pubkey pkcs1 pkcs8 pem kdf kernel-libipsec \
kernel-netlink socket-default vici updown
    plugins {{
        vici {{ socket = unix://{socket} }}
        kernel-netlink {{ fwmark = !0x42 }}
        socket-default {{ fwmark = 0x42 }}
    }}
    filelog {{ stderr {{ default = 1 }} }}
}}
"""
CLIENT = f"""\
connections {{
    boston {{
        version = 2
        remote_addrs = {GATEWAY_ADDRESS}
        vips = 0.0.0.0
        local {{
            auth = pubkey
            certs = user.pem
            id = alice
        }}
        remote {{
            auth = pubkey
            id = {HOSTNAME}
        }}
        children {{
            net {{
                remote_ts = 203.0.113.0/24
            }}
        }}
    }}
}}
"""


class Client:
    """strongSwan on the user's host."""

    def __init__(self, neighbour: Neighbour, directory: Path, user: User, root: Path) -> None:
        for name in ("x509", "x509ca", "private"):
            (directory / name).mkdir(parents=True)
        shutil.copy(user.certificate, directory / "x509" / "user.pem")
        shutil.copy(user.private_key, directory / "private" / "user.pem")
        shutil.copy(root, directory / "x509ca" / "root.pem")
        (directory / "swanctl.conf").write_text(CLIENT, "utf-8")
        (directory / "strongswan.conf").write_text(
            DAEMON.format(socket=directory / "vici"), "utf-8"
        )
        self._directory = directory
        self._socket = directory / "vici"
        self.process = BackgroundProcess(
            neighbour.argv("charon-systemd"),
            log=directory / "charon.log",
            environment={"STRONGSWAN_CONF": str(directory / "strongswan.conf")},
        )

    def start(self) -> None:
        self.process.start()
        wait_until(self._socket.exists, "strongSwan of the user", explain=self.process.tail)
        self.swanctl("--load-all")

    def connect(self) -> str:
        """The result in strongSwan's words."""
        return self.swanctl("--initiate", "--child", "net", "--timeout", "10", check=False)

    def disconnect(self) -> None:
        self.swanctl("--terminate", "--ike", "boston")

    def swanctl(self, *arguments: str, check: bool = True) -> str:
        finished = subprocess.run(
            [program("swanctl"), *arguments, "--uri", f"unix://{self._socket}"],
            env={**os.environ, "SWANCTL_DIR": str(self._directory)},
            text=True,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=20,
        )
        assert finished.returncode == 0 or not check, finished.stdout
        return finished.stdout


def test_strongswan(open_page: Open, neighbour: Neighbour, tell: Tell, tmp_path: Path) -> None:
    scenario = open_page("strongswan")
    user = make_user(tmp_path / "user", "alice")
    shutil.copy(user.authority, "/etc/swanctl/x509ca/users.pem")
    socket = Path("/run/charon.vici")
    Path("/etc/strongswan.conf").write_text(DAEMON.format(socket=socket), "utf-8")
    scenario.bootstrap()
    scenario.configure_server()
    server = BackgroundProcess([program("charon-systemd")], log=tmp_path / "charon.log")
    scenario.servers.enter_context(server)
    wait_until(socket.exists, "strongSwan", explain=server.tail)
    subprocess.run([program("swanctl"), "--load-all"], check=True, capture_output=True)
    client = Client(neighbour, tmp_path / "client", user, scenario.root)
    scenario.servers.push(client.process.__exit__)
    client.start()
    assert "no trusted" in client.connect()

    scenario.trust()
    assert "initiate completed successfully" in client.connect()
    with neighbour.ping(INSIDE) as ping:
        ping.wait_answered()
        seconds = scenario.renew()
        ping.wait_answered()
        delivery = ping.stop()
    client.disconnect()
    before = len(server.output)
    assert "initiate completed successfully" in client.connect()

    live = scenario.gatecert.certificate("boston")
    assert live is not None
    assert f"{live.serial_number:x}" in served_serials(client.swanctl)
    assert "sending end entity cert" in server.output[before:]
    assert delivery.lost == 0
    tell(f"strongSwan: renewed in {seconds:.2f} s; an open tunnel: {delivery}")


def served_serials(swanctl: Callable[..., str]) -> list[str]:
    """Return the serial numbers of the certificates that the gateway has sent to a client."""
    listed = swanctl("--list-certs", "--type", "x509")
    return [
        line.split(":", 1)[1].strip().replace(":", "").lstrip("0")
        for line in listed.splitlines()
        if line.strip().startswith("serial:")
    ]
