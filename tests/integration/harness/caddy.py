"""Caddy as an ACME CA: a second implementation, independent of Pebble.

It validates at the standard ports, so the tests use challenges over DNS.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import requests

from harness.certificates import write_self_signed
from harness.pebble import HTTP_TIMEOUT, PROJECT
from harness.ports import free_port
from harness.process import BackgroundProcess
from harness.server import Server

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self


BINARY = PROJECT / ".cache" / "caddy" / "caddy"


class Caddy(Server):
    """A CA on loopback, with its own root and intermediate.

    Args:
        directory: For everything that it writes.
        dns_server: ``host:port`` of the resolver that validations use.

    Attributes:
        https_certificate: The certificate that clients must trust for its HTTPS.
        root: The root that issued chains end in.
    """

    def __init__(self, directory: Path, *, dns_server: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.https_certificate = directory / "certificate.pem"
        self.root = directory / "data" / "pki" / "authorities" / "local" / "root.crt"
        self._directory = directory
        self._dns_server = dns_server
        self._configuration = directory / "caddy.json"
        self.process = BackgroundProcess(
            [_binary(), "run", "--config", str(self._configuration)],
            log=directory / "caddy.log",
            environment={
                name: str(directory) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
            },
        )

    @property
    def directory_url(self) -> str:
        """The URL of the ACME directory."""
        return f"https://127.0.0.1:{self.port}/acme/local/directory"

    def start(self) -> Self:
        """Start it and wait until it answers."""
        private_key = self._directory / "privkey.pem"
        write_self_signed(self.https_certificate, private_key, ["127.0.0.1"], days=30)
        settings = self._settings(private_key)
        self._configuration.write_text(json.dumps(settings, indent=2), "utf-8")
        self.process.start()
        self.when_ready(self._is_ready, f"Caddy at {self.directory_url}")
        return self

    def _settings(self, private_key: Path) -> dict[str, Any]:
        authority = {
            "handler": "acme_server",
            "ca": "local",
            "lifetime": "12h",
            "resolvers": [self._dns_server],
            "policy": {"allow_wildcard_names": True},
        }
        server = {
            "listen": [f"127.0.0.1:{self.port}"],
            "protocols": ["h1"],
            "automatic_https": {"disable": True},
            "tls_connection_policies": [{}],
            "routes": [{"handle": [authority]}],
        }
        shown = {"certificate": str(self.https_certificate), "key": str(private_key)}
        return {
            "admin": {"disabled": True, "config": {"persist": False}},
            "storage": {"module": "file_system", "root": str(self._directory / "data")},
            "apps": {
                # Otherwise it would add its root to the machine's trust store.
                "pki": {"certificate_authorities": {"local": {"install_trust": False}}},
                "http": {"servers": {"acme": server}},
                "tls": {"certificates": {"load_files": [shown]}},
            },
        }

    def _is_ready(self) -> bool:
        try:
            answer = requests.get(
                self.directory_url, verify=str(self.https_certificate), timeout=HTTP_TIMEOUT
            )
        except requests.ConnectionError:
            return False
        return answer.ok


def _binary() -> str:
    if not BINARY.is_file():
        raise RuntimeError(f"{BINARY} is missing: run `make setup`")
    return str(BINARY)
