"""Row 54, in a network namespace of its own: ``python -m tests.faults.squatting DIRECTORY``.

There, something has port 80 and forwards it to the port that gatecert answers on while a validation
runs. A local user waits for that port, with an ACME account of his own. Prints what came of it as
JSON, by the port.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults.forwarder import LOOPBACK, Forwarder
from tests.faults.scene import HOSTNAME, VPN

from harness.challenge_test_server import ChallengeTestServer
from harness.gatecert import Gatecert
from harness.pebble import Pebble, PebbleOptions, PebblePorts
from harness.process import program

if TYPE_CHECKING:
    from collections.abc import Sequence

PORTS = (8089, 888)
SIOCSIFFLAGS, UP = 0x8914, 0x1  # netdevice(7)
# A local user is a process that may not bind ports below 1024.
AS_USER = ("setpriv", "--inh-caps=-net_bind_service", "--bounding-set=-net_bind_service")


class LocalUser(Gatecert):
    """The attacker's ACME client."""

    @property
    def command(self) -> list[str]:
        return [program(AS_USER[0]), *AS_USER[1:], *super().command]


def bring_loopback_up() -> None:
    """A new namespace has no other interface, and this one is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", UP))


def play(directory: Path, port: int) -> dict[str, Any]:
    """Return the output of ``check``, and obtain a certificate as another user of that port."""
    with ExitStack() as servers:
        names = servers.enter_context(ChallengeTestServer(directory / "names"))
        pebble = servers.enter_context(
            Pebble(
                directory / "pebble",
                dns_server=names.address,
                options=PebbleOptions(rejected_nonces=0),
                ports=PebblePorts(http01=80),
            )
        )
        servers.enter_context(Forwarder(80, port))
        names.point(HOSTNAME, LOOPBACK)
        owner, user = (
            kind(directory / name).use(pebble, names).add_gateway(VPN, HOSTNAME)
            for kind, name in ((Gatecert, "owner"), (LocalUser, "user"))
        )
        for each in (owner, user):
            each.configuration["challenges"]["http-01"] = {"listen": [f"{LOOPBACK}:{port}"]}
            each.write()
        checked = owner.run("check")
        user.run("enroll")
        owner.run("enroll")
        return {
            "check": checked.exit_code,
            "said": checked.errors,
            "user": user.is_enrolled(VPN),
            "owner": owner.is_enrolled(VPN),
        }


def main(arguments: Sequence[str]) -> None:
    bring_loopback_up()
    directory = Path(arguments[0])
    found = {}
    for port in PORTS:
        (directory / str(port)).mkdir()
        found[port] = play(directory / str(port), port)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
