"""The environment of a row: names, a CA, the proxy in front of it, and gatecert."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.faults.proxy.server import FaultProxy

from harness.challenge_test_server import ChallengeTestServer
from harness.false_clock import false_clock
from harness.gatecert import CommandResult, Gatecert
from harness.nginx import Nginx
from harness.pebble import Pebble, PebbleOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.faults.proxy.rules import Rules

VPN = "vpn"
HOSTNAME = "vpn.example.com"


@dataclass
class Scene:
    """One row's servers; all of them end with it.

    Attributes:
        directory: For whatever a row wants to write.
        servers: Enter more servers here.
        names: The DNS that everybody uses.
        pebble: The authority itself.
        proxy: What clients take for the authority.
    """

    directory: Path
    servers: ExitStack
    options: PebbleOptions = field(default_factory=lambda: PebbleOptions(rejected_nonces=0))

    def __post_init__(self) -> None:
        self.names = self.servers.enter_context(ChallengeTestServer(self.directory / "names"))
        self.pebble = self.servers.enter_context(
            Pebble(self.directory / "pebble", dns_server=self.names.address, options=self.options)
        )
        self.proxy = self.servers.enter_context(
            FaultProxy(
                self.directory / "proxy",
                upstream=self.pebble.base_url,
                upstream_certificate=self.pebble.https_certificate,
            )
        )
        self.names.point(HOSTNAME, "127.0.0.1")

    @property
    def rules(self) -> Rules:
        """Return the last failure."""
        return self.proxy.rules

    def gatecert(
        self,
        *,
        clock: str = "",
        authority: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        **keys: Any,  # noqa: ANN401 - any key of a gateway
    ) -> Gatecert:
        """The command with one gateway ``vpn``, its configuration written.

        Args:
            clock: How far off its clock is, as libfaketime wants it written.
            authority: Further keys of the authority.
            environment: Added to the command's.
            keys: Further keys of the gateway.
        """
        gatecert = Gatecert(
            self.directory / "gatecert",
            environment={**(false_clock(clock) if clock else {}), **(environment or {})},
        )
        gatecert.use(
            self.pebble,
            self.names,
            directory_url=self.proxy.directory_url,
            ca_bundle=str(self.proxy.https_certificate),
            **(authority or {}),
        )
        gatecert.add_gateway(VPN, **{"hostname": HOSTNAME, **keys}).write()
        self.servers.push(gatecert.__exit__)
        return gatecert

    def nginx(self, gatecert: Gatecert) -> Nginx:
        """A server of the gateway's live files, not started yet; gatecert proves and reloads it."""
        server = Nginx(self.directory / "nginx", **gatecert.files(VPN))
        gatecert.configuration["gateways"][VPN]["install"] = {
            "reload": server.reload_command,
            "verify": [server.address],
            "verify_timeout": "2s",
        }
        gatecert.write()
        self.servers.push(server.__exit__)
        return server


def issued(result: CommandResult) -> None:
    """A command has done what was asked for."""
    assert result.exit_code == 0, result.errors
    assert_plain(result)


def refused(result: CommandResult, *words: str) -> None:
    """A command has failed as commands should: exit code 1, a line that says why, no traceback."""
    assert result.exit_code == 1, result.output + result.errors
    assert_plain(result)
    for word in words:
        assert word in result.errors, result.errors


def assert_plain(result: CommandResult) -> None:
    """Whatever happened, nobody is shown a traceback."""
    assert "Traceback" not in result.errors + result.output


def assert_pair(fullchain: Path, private_key: Path) -> x509.Certificate:
    """A whole pair lies there, key and certificate belonging together; the leaf."""
    leaf = x509.load_pem_x509_certificates(fullchain.read_bytes())[0]
    key = load_pem_private_key(private_key.read_bytes(), None)
    assert key.public_key() == leaf.public_key(), "the key is not the certificate's"
    return leaf


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """So far."""
        return time.monotonic() - self._started
