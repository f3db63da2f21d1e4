"""The files and commands of docs/relay.md; only their directories are other ones."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import requests
import yaml
from cryptography import x509

from harness.certificates import write_self_signed
from harness.gatecert import Gatecert
from harness.handshake import served_certificate
from harness.nginx import Nginx, nginx_process
from harness.openssl import HandmadeAuthority
from harness.pebble import HTTP_TIMEOUT, PROJECT
from harness.process import BackgroundProcess
from harness.server import Server
from harness.waiting import wait_until

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from cryptography.x509 import Certificate

    from harness.network import PrivateNetwork

PAGE = PROJECT / "docs" / "relay.md"
FILES = PROJECT / "docs" / "relay"
ENVIRONMENT = PROJECT / ".cache" / "authorities"

GATEWAY = "site000412"
VPN = "vpn"
HOSTNAME = f"{GATEWAY}.ddns.example"
RELAY = "relay.example.net"
RELAY_ADDRESS, GATEWAY_ADDRESS = "192.0.2.1", "192.0.2.2"
HOSTS = (f"{RELAY_ADDRESS} {RELAY}",)

RENEWAL_AT_ONCE = """
[Renewalinfo]
renewalthreshold_pctg: 0
renewal_window_duration: 1
"""


class GatewayCredentials:
    """The CAs, and the credentials of a gateway, made with the page's commands."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self.authority = HandmadeAuthority(directory / "authority")
        self._run("once")
        self.make_gateway(GATEWAY)

    def make_gateway(self, name: str) -> None:
        """Make a client certificate and an HMAC key, in place of those of the gateway before."""
        self._run("each", name)

    @property
    def hmac_key(self) -> str:
        """The gateway's HMAC key, base64url."""
        return (self.directory / "eab.key").read_text("ascii")

    def _run(self, marker: str, name: str = GATEWAY) -> None:
        text = PAGE.read_text("utf-8")
        (commands,) = re.findall(rf"<!-- {marker} -->\n```sh\n(.*?)```", text, re.DOTALL)
        subprocess.run(
            ["/bin/sh", "-euc", commands.replace(GATEWAY, name)],
            cwd=self.directory,
            check=True,
            capture_output=True,
            timeout=30,
        )


class Relay(Server):
    """acme2certifier, and nginx in front of it.

    Attributes:
        https_certificate: The certificate of its own HTTPS, which clients can trust directly.
        root: The root of the certificates that it hands out.
        web: nginx.
    """

    def __init__(
        self,
        directory: Path,
        credentials: GatewayCredentials,
        configuration: Path = FILES / "acme_srv.cfg",
    ) -> None:
        directory.mkdir()
        self.directory = directory
        self.etc, self.state = directory / "etc", directory / "state"
        for each in (self.etc, self.state, self.state / "certificates"):
            each.mkdir()
        self.https_certificate = self.etc / "https.pem"
        write_self_signed(self.https_certificate, self.etc / "https.key", [RELAY, RELAY_ADDRESS])
        self.authority = credentials.authority
        self.root = self.authority.root
        shutil.copy(self.authority.root, self.etc)
        shutil.copy(self.authority.issuing, self.etc)
        shutil.copy(self.authority.key("issuing"), self.etc)
        shutil.copy(credentials.directory / "field-ca.pem", self.etc)
        self._write(configuration)
        self.admit(credentials)
        unit = unit_settings(FILES / "relay.service")
        self.process = BackgroundProcess(
            self.command(unit), log=directory / "relay.log", environment=self.environment(unit)
        )
        self.web = WebServer(directory / "web", self._write(FILES / "nginx.conf"))

    def command(self, unit: dict[str, str]) -> list[str]:
        """Return the command of a unit."""
        return shlex.split(unit["ExecStart"].replace("/opt/relay", str(ENVIRONMENT)))

    def environment(self, unit: dict[str, str]) -> dict[str, str]:
        """Return the environment of a unit."""
        name, value = self.here(unit["Environment"]).split("=", 1)
        return {name: value}

    def start(self) -> Self:
        """Start both; wait until nginx answers."""
        self.process.start()
        self.web.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop both."""
        self.web.__exit__(kind, error, traceback)
        super().__exit__(kind, error, traceback)

    def suggest_renewal_at_once(self) -> None:
        """Let acme2certifier suggest the time of issuance for any renewal."""
        path = self.etc / "acme_srv.cfg"
        text = re.sub(r"\n\[Renewalinfo\]\n[^\[]*", "\n", path.read_text("utf-8"))
        path.write_text(text + RENEWAL_AT_ONCE, "utf-8")
        self.process.signal(signal.SIGHUP)
        self.when_ready(lambda: "Worker exiting" in self.process.output, "another worker")

    def admit(self, credentials: GatewayCredentials, **lists: list[str]) -> None:
        """Write the gateway's entry with its HMAC key.

        Args:
            credentials: Has the key.
            lists: ``allowed`` and ``prevalidated`` names, instead of the page's.
        """
        entries = json.loads((FILES / "gateways.json").read_text("utf-8"))
        entry = entries[GATEWAY]
        assert entry["hmac"] == "HMAC-KEY"
        entry["hmac"] = credentials.hmac_key
        if "allowed" in lists:
            entry["order"]["allowed_domainlist"] = lists["allowed"]
        if "prevalidated" in lists:
            entry["authorization"]["prevalidated_domainlist"] = lists["prevalidated"]
        (self.etc / "gateways.json").write_text(json.dumps(entries), "utf-8")

    def order_without_end(self, certificates: Path) -> int:
        """Send requests for orders until the relay says no; return how many got through.

        Args:
            certificates: Has the gateway's client certificate and its key.
        """
        pair = (str(certificates / "relay-client.pem"), str(certificates / "relay-client.key"))
        for count in range(100):
            answer = requests.post(
                f"https://{RELAY_ADDRESS}/acme/neworders",
                headers={"Host": RELAY},
                json={},
                cert=pair,
                verify=str(self.https_certificate),
                timeout=HTTP_TIMEOUT,
            )
            if answer.status_code == requests.codes.too_many_requests:
                assert answer.headers["Retry-After"] == "3600"
                return count
        raise AssertionError("the relay limits nothing")

    def lock_out(self, name: str) -> None:
        """Lock a gateway out."""
        (self.etc / "locked-out").write_text(f"CN={name} 1;\n", "ascii")
        self.web.reload()

    def _write(self, source: Path) -> Path:
        path = self.etc / source.name
        path.write_text(self.here(source.read_text("utf-8")), "utf-8")
        return path

    def here(self, text: str) -> str:
        """Return text of the page with this machine's paths."""
        return text.replace("/etc/relay", str(self.etc)).replace("/var/lib/relay", str(self.state))


def unit_settings(unit: Path) -> dict[str, str]:
    """Return the settings of a unit of systemd."""
    lines = unit.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


class WebServer(Server):
    """nginx with the page's site."""

    def __init__(self, directory: Path, site: Path) -> None:
        directory.mkdir()
        self.process = nginx_process(directory, f"include {site};")

    def start(self) -> Self:
        """Start it, and wait until the relay answers those who have no certificate."""
        self.process.start()
        self.when_ready(self._is_ready, "nginx of the relay")
        return self

    def reload(self) -> None:
        """Let it read its configuration again; wait until the former worker has ended."""
        self.process.signal(signal.SIGHUP)
        self.when_ready(lambda: "exited with code 0" in self.process.output, "nginx again")

    def _is_ready(self) -> bool:
        return "start worker process" in self.process.output


class FieldGateway:
    """The gateway: gatecert with the page's configuration, and the server that it is for.

    Attributes:
        gatecert: Its commands and its daemon.
        etc: The files of the configuration.
    """

    def __init__(
        self,
        directory: Path,
        network: PrivateNetwork,
        relay: Relay,
        credentials: GatewayCredentials,
        servers: ExitStack,
    ) -> None:
        self.gatecert = Gatecert(directory, network=network)
        self.etc = directory / "etc"
        self.etc.mkdir()
        shutil.copy(relay.https_certificate, self.etc / "relay-https.pem")
        shutil.copy(relay.root, self.etc / "root.pem")
        self.take(credentials)
        text = (FILES / "gatecert.yaml").read_text("utf-8").replace("/etc/gatecert", str(self.etc))
        self.gatecert.configuration |= yaml.safe_load(text)
        self.web = Nginx(directory / "web", port=443, **self.gatecert.files(VPN))
        self.settings["install"]["reload"] = self.web.reload_command
        self.gatecert.write()
        self._servers = servers
        servers.push(self.gatecert.__exit__)

    @property
    def settings(self) -> dict[str, Any]:
        """The gateway's settings."""
        settings: dict[str, Any] = self.gatecert.configuration["gateways"][VPN]
        return settings

    def take(self, credentials: GatewayCredentials) -> None:
        """Take the files that were made for the gateway."""
        for name in ("relay-client.pem", "relay-client.key", "eab.key"):
            shutil.copy(credentials.directory / name, self.etc)

    def start(self) -> None:
        """Start the daemon, and the server with the bootstrap certificate."""
        self.gatecert.start()
        self.gatecert.wait_bootstrapped(VPN)
        self._servers.enter_context(self.web)

    def wait_trusted(self, seconds: float = 40.0) -> None:
        """Wait until the server serves a trusted certificate."""
        self.gatecert.wait_for(
            lambda: self.gatecert.state(VPN) == "trusted", "a proven certificate", seconds=seconds
        )

    @property
    def live(self) -> Certificate:
        """The installed certificate."""
        certificate = self.gatecert.certificate(VPN)
        assert certificate is not None
        return certificate

    def wait_served(self) -> None:
        """Wait until clients get the installed certificate."""

        def served() -> Certificate:
            leaf = served_certificate("127.0.0.1", self.web.port, HOSTNAME)
            return x509.load_der_x509_certificate(leaf)

        wait_until(lambda: served() == self.live, "the installed certificate to be served")

    def findings(self) -> dict[str, str]:
        """Return what the doctor finds: what it has seen, by code."""
        found = self.gatecert.run("doctor", "--json", "--all").json()
        return {each["code"]: each["seen"] for each in found["findings"]}
