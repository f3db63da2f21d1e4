"""A CA, gateways, and a gatecert with metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.challenge_test_server import ChallengeTestServer
from harness.gatecert import Gatecert
from harness.nginx import Nginx
from harness.pebble import Pebble, PebbleOptions
from harness.ports import free_port

from .page import replaced, shown

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path


class Scene:
    """Everything that is monitored; nothing runs before ``start``.

    Args:
        directory: For all files.
        servers: Ends what runs.
        options: Of the CA.

    Attributes:
        metrics: ``host:port`` of the listener of metrics.
    """

    def __init__(
        self, directory: Path, servers: ExitStack, options: PebbleOptions | None = None
    ) -> None:
        self._servers = servers
        self._directory = directory
        self._gateways: dict[str, Nginx] = {}
        self.names = servers.enter_context(ChallengeTestServer(directory / "names"))
        self.pebble = servers.enter_context(
            Pebble(
                directory / "pebble",
                dns_server=self.names.address,
                options=options or PebbleOptions(rejected_nonces=0),
            )
        )
        self.metrics = f"127.0.0.1:{free_port()}"
        self.gatecert = Gatecert(directory / "gatecert").use(self.pebble, self.names)
        self.gatecert.configuration |= replaced(
            shown("metrics", "listen"), {"127.0.0.1:9876": self.metrics}
        )

    def add_gateway(self, name: str, **keys: object) -> None:
        """Add a gateway ``NAME.example.com`` whose server is an nginx."""
        server = Nginx(self._directory / name, **self.gatecert.files(name))
        self._gateways[name] = server
        install = {"reload": server.reload_command, "verify": [server.address]}
        self.gatecert.add_gateway(name, hostname(name), install=install, **keys)

    def start(self) -> None:
        """Start the daemon, and the servers with their bootstrap certificates."""
        self._servers.push(self.gatecert)
        self.gatecert.start()
        for name, server in self._gateways.items():
            self.gatecert.wait_bootstrapped(name, seconds=30)
            self._servers.enter_context(server)

    def enrol(self) -> None:
        """Point the names at the gateways, and wait until all are trusted."""
        for name in self._gateways:
            self.names.point(hostname(name), "127.0.0.1")
        self.gatecert.wait_for(
            lambda: all(self.gatecert.state(name) == "trusted" for name in self._gateways),
            "all gateways to be trusted",
            seconds=40,
        )


def hostname(name: str) -> str:
    """Return the name under which clients know a gateway."""
    return f"{name}.example.com"
