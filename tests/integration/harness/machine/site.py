"""An operator's set-up of the machine: a configuration, ocserv as a unit, and its reload unit."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from typing import Any

import yaml
from cryptography import x509

from harness.challenge_test_server import ChallengeTestServer
from harness.handshake import served_certificate
from harness.machine.booted import Machine
from harness.ocserv import Credentials
from harness.openconnect import Authentication, authenticate
from harness.pebble import Pebble
from harness.process import program

BOSTON = "boston"
HOSTNAME = "boston-njndubu.dynamic-m.com"
CONFIGURATION = "/etc/gatecert/config.yaml"
GATEWAY = f"/var/lib/gatecert/gateways/{BOSTON}"
LIVE = f"{GATEWAY}/live"
OCSERV = f"""\
auth = "plain[passwd=/etc/ocserv/passwords]"
listen-host = 127.0.0.1
tcp-port = 443
server-cert = {LIVE}/fullchain.pem
server-key = {LIVE}/privkey.pem
socket-file = /run/ocserv-socket
use-occtl = false
run-as-user = nobody
run-as-group = daemon
isolate-workers = false
max-clients = 16
max-same-clients = 16
max-ban-score = 0
device = vpns
ipv4-network = 192.0.2.0
ipv4-netmask = 255.255.255.0
"""
# The test decides when the network is up.
SLOW_NETWORK = """\
[Unit]
DefaultDependencies=no
Before=network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'until [ -e /run/network-is-there ]; do sleep 0.1; done'
TimeoutStartSec=infinity
[Install]
WantedBy=network-online.target
"""


@dataclass
class Site:
    """The machine's gateway, with the CA and the names outside.

    Attributes:
        configuration: As ``configure`` writes it.
    """

    machine: Machine
    pebble: Pebble
    names: ChallengeTestServer
    port: int = 443
    credentials: Credentials = field(default_factory=Credentials)
    configuration: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.configuration = {
            "authorities": {
                "pebble": {
                    "directory_url": self.pebble.directory_url,
                    "contact": ["ops@example.com"],
                    "terms_of_service_agreed": True,
                    "ca_bundle": "/etc/gatecert/authority.pem",
                    "trusted_roots": "/etc/gatecert/root.pem",
                }
            },
            "resolver": {"nameservers": [self.names.address], "interval": "1s"},
            "gateways": {
                BOSTON: {
                    "hostname": HOSTNAME,
                    "addresses": ["127.0.0.1"],
                    "install": {"verify": ["127.0.0.1:443"], "key_group": "gatecert"},
                }
            },
        }

    @property
    def gateway(self) -> dict[str, Any]:
        """Return the gateway's part of the configuration."""
        settings: dict[str, Any] = self.configuration["gateways"][BOSTON]
        return settings

    # ------------------------------------------------------------------ setting up

    def configure(self) -> None:
        """Write the configuration as root: the daemon can read but not change it."""
        text = yaml.safe_dump(self.configuration, sort_keys=False)
        self.machine.write(CONFIGURATION, text)
        for name, source in (
            ("authority.pem", self.pebble.https_certificate),
            ("root.pem", self.pebble.root),
        ):
            self.machine.write(f"/etc/gatecert/{name}", source.read_text("ascii"))

    def set_up(self) -> None:
        """Do what an operator does before the first boot."""
        self.configure()
        self.machine.write("/etc/ocserv/ocserv.conf", OCSERV)
        passwords = self.machine.root / "etc/ocserv/passwords"
        subprocess.run(
            [program("ocpasswd"), "-c", str(passwords), self.credentials.user],
            input=f"{self.credentials.password}\n{self.credentials.password}\n",
            text=True,
            check=True,
            capture_output=True,
            timeout=10,
        )
        self.machine.drop_in(
            f"gatecert-reload@{BOSTON}.service", "[Service]\nEnvironment=UNIT=ocserv.service\n"
        )
        self.machine.drop_in("ocserv.service", "[Unit]\nWants=network-online.target\n")
        self.machine.enable("ocserv.service", f"gatecert-reload@{BOSTON}.path")

    def delay_network(self) -> None:
        """Delay the network until the test brings it up."""
        self.machine.write("/etc/systemd/system/slow-network.service", SLOW_NETWORK)
        self.machine.enable("slow-network.service")

    def bring_network(self) -> None:
        """Bring the network up."""
        self.machine.write_running("/run/network-is-there", "")

    # ------------------------------------------------------------------ observation

    def live(self) -> x509.Certificate | None:
        """Return the certificate in ``live``, or None."""
        found = self.machine.run("cat", f"{LIVE}/cert.pem")
        return x509.load_pem_x509_certificate(found.output.encode()) if found.output else None

    def served(self, *, trusted: bool = False) -> bytes | None:
        """Return the leaf that ocserv serves, DER; None if there is none (that is trusted)."""
        root = self.pebble.root if trusted else None
        try:
            return served_certificate("127.0.0.1", self.port, HOSTNAME, trusted=root)
        except OSError:
            return None

    def log_in(self) -> Authentication:
        """Log in as a user who trusts the CA."""
        return authenticate(self, HOSTNAME, self.pebble.root)

    def wait_served(self) -> None:
        """Wait until the gateway, which may still start, serves any certificate."""
        self.machine.wait_for(self.served, "a certificate at ocserv")

    def wait_trusted(self, *, seconds: float = 60.0) -> None:
        """Wait until the gateway serves a certificate of the CA."""
        self.machine.wait_for(
            lambda: self.served(trusted=True), "a trusted certificate at ocserv", seconds=seconds
        )

    def status(self) -> dict[str, Any]:
        """Return the gateway's object from `gatecert status --json`."""
        shown = self.machine.must("gatecert", "status", BOSTON, "--json")
        (gateway,) = json.loads(shown)["gateways"]
        return dict(gateway)

    def wait_settled(self) -> None:
        """Wait until the daemon has completed a pass and the certificate is verified.

        The daemon looks at the listeners at fixed moments of the clock. If one comes while a reboot
        stops or starts the server, the next look would come only after ``install.watch``.
        """
        self.machine.wait_for(self._is_settled, "the daemon to have settled")

    def _is_settled(self) -> bool:
        name, _, words = self.machine.shown("gatecert.service", "StatusText").partition(": ")
        # The state is written before the end of the pass; the text comes last.
        unproven = ("bootstrapped", "waiting")
        if name != BOSTON or words.startswith(unproven):
            return False
        state = self.status()["state"]
        if state == "silent":
            self.machine.must("systemctl", "kill", "--signal=USR1", "gatecert.service")
        return bool(state == "trusted")

    def wait_reloaded(self) -> None:
        """Wait until no reload of the gateway is in progress."""
        unit = f"gatecert-reload@{BOSTON}.service"
        self.machine.wait_for(
            lambda: self.machine.shown(unit, "ActiveState") in {"inactive", "failed"},
            "the reload to be over",
        )
