"""Caddy as a server that obtains its own certificates, with the same CA."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from bench.process_tree import ProcessTree
from harness.caddy import BINARY
from harness.handshake import served_certificate
from harness.ports import free_port
from harness.process import BackgroundProcess
from harness.server import Server
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

    from harness.pebble import Pebble

VERSION = BINARY.with_name("version")


class CaddyClient(Server):
    """A web server with a name for each certificate.

    Args:
        directory: For everything that it writes.
        pebble: The CA, which validates http-01 at a port on which Caddy listens.
        hostnames: The names.
    """

    def __init__(self, directory: Path, pebble: Pebble, hostnames: Sequence[str]) -> None:
        if not BINARY.is_file():
            raise RuntimeError(f"{BINARY} is missing: run `make bench`, which fetches it")
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._hostnames = list(hostnames)
        self._pebble = pebble
        self._directory = directory
        self._configuration = directory / "caddy.json"
        homes = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
        self.process = BackgroundProcess(
            [str(BINARY), "run", "--config", str(self._configuration)],
            log=directory / "caddy.log",
            environment={name: str(directory) for name in homes},
        )

    @property
    def tree(self) -> ProcessTree:
        """Its process."""
        return ProcessTree(self.process.pid)

    @property
    def seconds_since_start(self) -> float:
        """Seconds since the start of the process."""
        return time.monotonic() - self.process.started_at

    def start(self) -> Self:
        """Start it; it is not ready yet."""
        self._configuration.write_text(json.dumps(self._settings(), indent=2), "utf-8")
        self.process.start()
        return self

    def wait_all_trusted(self, seconds: float) -> None:
        """Wait until every name is served with a certificate that a client trusts."""
        waiting = list(self._hostnames)

        def all_are() -> bool:
            while waiting:
                try:
                    served_certificate(
                        "127.0.0.1", self.port, waiting[-1], trusted=self._pebble.root
                    )
                except OSError:
                    return False
                waiting.pop()
            return True

        wait_until(
            all_are,
            f"{len(self._hostnames)} certificates of Caddy",
            seconds=seconds,
            explain=self.process.tail,
        )

    def _settings(self) -> dict[str, Any]:
        validated_at = self._pebble.ports.http01
        issuer = {
            "module": "acme",
            "ca": self._pebble.directory_url,
            "email": "ops@example.com",
            "trusted_roots_pem_files": [str(self._pebble.https_certificate)],
            "challenges": {
                "http": {"alternate_port": validated_at},
                "tls-alpn": {"disabled": True},
                "bind_host": "127.0.0.1",
            },
        }
        server = {
            "listen": [f"127.0.0.1:{self.port}"],
            "protocols": ["h1"],
            "automatic_https": {"disable_redirects": True},
            "tls_connection_policies": [{}],
            "routes": [
                {
                    "match": [{"host": self._hostnames}],
                    "handle": [{"handler": "static_response", "body": "served"}],
                }
            ],
        }
        return {
            "admin": {"disabled": True, "config": {"persist": False}},
            "storage": {"module": "file_system", "root": str(self._directory / "data")},
            "apps": {
                "http": {
                    "http_port": validated_at,
                    "https_port": self.port,
                    "servers": {"gateway": server},
                },
                "tls": {"automation": {"policies": [{"issuers": [issuer]}]}},
            },
        }


def caddy_version() -> str:
    """Return the version of the Debian package."""
    return VERSION.read_text("utf-8").strip()
